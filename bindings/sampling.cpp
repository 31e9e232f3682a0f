#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_sampling_scores(nb::module_& module);
void bind_sampling_sensitivities(nb::module_& module);
void bind_sampling_sample(nb::module_& module);
void bind_sampling_regression(nb::module_& module);
void bind_sampling_streaming_coreset(nb::module_& module);

void bind_sampling(nb::module_& module) {
  bind_sampling_scores(module);
  bind_sampling_sensitivities(module);
  bind_sampling_sample(module);
  bind_sampling_regression(module);
  bind_sampling_streaming_coreset(module);
}

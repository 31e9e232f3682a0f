#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_completion_model(nb::module_& module);
void bind_completion_complete(nb::module_& module);

void bind_completion(nb::module_& module) {
  bind_completion_model(module);
  bind_completion_complete(module);
}

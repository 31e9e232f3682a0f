#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_fisher_inverse(nb::module_& module);
void bind_fisher_sliding(nb::module_& module);
void bind_fisher_recurrences(nb::module_& module);

void bind_fisher(nb::module_& module) {
  bind_fisher_inverse(module);
  bind_fisher_sliding(module);
  bind_fisher_recurrences(module);
}

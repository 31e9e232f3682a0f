#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_sketch_families(nb::module_& module);
void bind_sketch_row_sketch(nb::module_& module);
void bind_sketch_kron(nb::module_& module);
void bind_sketch_lstsq(nb::module_& module);
void bind_sketch_ridge_path(nb::module_& module);

void bind_sketch(nb::module_& module) {
  bind_sketch_families(module);
  bind_sketch_row_sketch(module);
  bind_sketch_kron(module);
  bind_sketch_lstsq(module);
  bind_sketch_ridge_path(module);
}

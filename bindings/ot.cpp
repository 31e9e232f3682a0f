#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_ot_barycenter(nb::module_& module);
void bind_ot_exact(nb::module_& module);
void bind_ot_quadratic(nb::module_& module);
void bind_ot_route(nb::module_& module);
void bind_ot_sinkhorn(nb::module_& module);
void bind_ot_sparse_plan(nb::module_& module);
void bind_ot_transport_plan(nb::module_& module);

void bind_ot(nb::module_& module) {
  bind_ot_barycenter(module);
  bind_ot_exact(module);
  bind_ot_quadratic(module);
  bind_ot_route(module);
  bind_ot_sinkhorn(module);
  bind_ot_sparse_plan(module);
  bind_ot_transport_plan(module);
}

#include "nearlinear/ot/transport_plan.hpp"

#include <nanobind/stl/string.h>

#include <string>
#include <utility>

#include "ot/cost.hpp"

void bind_ot_transport_plan(nb::module_& module);

namespace {

using nearlinear::Index;

/// Python keeps the matrix of costs.
template <class T>
void bind_plan(nb::module_& module, const char* class_name) {
  using Plan = nearlinear::TransportPlan<T>;
  nb::class_<Plan> cls(module, class_name);
  cls.def(
         "__init__",
         [](Plan* self, const MatrixInput<T>& C, const MatrixInput<T>& y, const std::string& metric,
            const VectorArray<double>& f, const VectorArray<double>& g, double reg, const VectorArray<double>& a,
            const VectorArray<double>& b) {
           new (self) Plan(cost_of<T>(C, y, metric), view(f), view(g), reg, view(a), view(b));
         },
         "C"_a.noconvert(), "y"_a.noconvert(), "metric"_a, "f"_a.noconvert(), "g"_a.noconvert(), "reg"_a,
         "a"_a.noconvert(), "b"_a.noconvert())
      .def(
          "normalize_rows",
          [](Plan& self, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.normalize_rows(run); });
          },
          "n_threads"_a = 0)
      .def(
          "dense",
          [](const Plan& self, Index begin, const MatrixArray<T>& out, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.dense(begin, view(out), run); });
          },
          "begin"_a, "out"_a.noconvert(), "n_threads"_a = 0)
      .def(
          "sparse",
          [](const Plan& self, double tol, double mass, Index top_k, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            auto plan = without_gil([&] { return self.sparse({.tol = tol, .mass = mass, .top_k = top_k}, run); });
            return Tuple(nb::make_tuple(as_numpy(std::move(plan.data)), as_numpy(std::move(plan.indices)),
                                        as_numpy(std::move(plan.indptr))));
          },
          "tol"_a, "mass"_a, "top_k"_a, "n_threads"_a = 0);
  const auto bind_product = [&cls](const char* name, auto method) {
    cls.def(
        name,
        [method](const Plan& self, const MatrixInput<double>& X, const MatrixArray<double>& Y, int n_threads) {
          const nearlinear::RunOptions run = run_options(n_threads);
          without_gil([&] { (self.*method)(view(X), view(Y), run); });
        },
        "X"_a.noconvert(), "Y"_a.noconvert(), "n_threads"_a = 0);
  };
  bind_product("multiply", &Plan::multiply);
  bind_product("multiply_transposed", &Plan::multiply_transposed);
}

}  // namespace

void bind_ot_transport_plan(nb::module_& module) {
  bind_plan<float>(module, "TransportPlan32");
  bind_plan<double>(module, "TransportPlan64");
}

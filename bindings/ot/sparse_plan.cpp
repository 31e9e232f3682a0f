#include "nearlinear/ot/sparse_plan.hpp"

#include <nanobind/stl/string.h>

#include <string>
#include <utility>

#include "ot/cost.hpp"
#include "ot/history.hpp"

void bind_ot_sparse_plan(nb::module_& module);

namespace {

using nearlinear::Index;

template <class T>
void bind_sparse_plan(nb::module_& module) {
  module.def(
      "sparse_plan",
      [](const VectorArray<double>& a, const VectorArray<double>& b, const MatrixInput<T>& C, const MatrixInput<T>& y,
         const std::string& metric, const VectorOutput<double>& f, const VectorOutput<double>& g, bool is_warm,
         double reg, Index max_nz, int axis, bool is_dual, int method, bool feasible, double tol, Index maxiter,
         int n_threads, const nb::object& callback, const nb::object& each_iteration) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        using Formulation = nearlinear::SparsePlanFormulation;
        nearlinear::SparsePlanOptions options{.reg = reg,
                                              .max_nz = max_nz,
                                              .axis = axis,
                                              .formulation = is_dual ? Formulation::dual : Formulation::semi_dual,
                                              .method = static_cast<nearlinear::SparsePlanMethod>(method),
                                              .feasible = feasible,
                                              .tol = tol,
                                              .maxiter = maxiter,
                                              .callback = callback_of(each_iteration)};
        if (is_warm) {
          options.f = {f.data(), f.size()};
          options.g = {g.data(), g.size()};
        }
        const nearlinear::TransportProblem<T> problem{view(a), view(b), cost_of<T>(C, y, metric)};
        auto result = without_gil([&] { return nearlinear::sparse_plan<T>(problem, options, run); });
        std::copy(result.f.begin(), result.f.end(), f.data());
        std::copy(result.g.begin(), result.g.end(), g.data());
        const Tuple plan(nb::make_tuple(as_numpy(std::move(result.plan.data)), as_numpy(std::move(result.plan.indices)),
                                        as_numpy(std::move(result.plan.indptr))));
        return Tuple(nb::make_tuple(static_cast<int>(result.status), plan, result.primal_value, result.dual_value,
                                    result.cost, result.marginal_error, result.feasible, result.ties, result.iterations,
                                    result.passes, as_list(result.history)));
      },
      "a"_a.noconvert(), "b"_a.noconvert(), "C"_a.noconvert(), "y"_a.noconvert(), "metric"_a, "f"_a.noconvert(),
      "g"_a.noconvert(), "is_warm"_a, "reg"_a, "max_nz"_a, "axis"_a, "is_dual"_a, "method"_a, "feasible"_a, "tol"_a,
      "maxiter"_a, "n_threads"_a = 0, "callback"_a = nb::none(), "each_iteration"_a = nb::none());
}

}  // namespace

void bind_ot_sparse_plan(nb::module_& module) {
  bind_sparse_plan<float>(module);
  bind_sparse_plan<double>(module);
}

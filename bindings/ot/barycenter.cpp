#include "nearlinear/ot/barycenter.hpp"

#include <nanobind/stl/string.h>

#include <string>

#include "ot/cost.hpp"
#include "ot/history.hpp"

void bind_ot_barycenter(nb::module_& module);

namespace {

using nearlinear::Index;

template <class T>
void bind_barycenter(nb::module_& module) {
  module.def(
      "barycenter",
      [](const MatrixArray<double>& A, const MatrixInput<T>& C, const MatrixInput<T>& y, const std::string& metric,
         const VectorArray<double>& weights, const VectorOutput<double>& masses, const MatrixArray<double>& f,
         const MatrixArray<double>& g, double reg, double tol, Index maxiter, int n_threads, const nb::object& callback,
         const nb::object& each_iteration) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const nearlinear::BarycenterOptions options{.reg = reg,
                                                    .tol = tol,
                                                    .maxiter = maxiter,
                                                    .weights = view(weights),
                                                    .callback = callback_of(each_iteration)};
        const nearlinear::TransportCost<T> cost = cost_of<T>(C, y, metric);
        const auto result = without_gil([&] { return nearlinear::barycenter<T>(view(A), cost, options, run); });
        std::copy(result.masses.begin(), result.masses.end(), masses.data());
        std::copy(result.f.begin(), result.f.end(), f.data());
        std::copy(result.g.begin(), result.g.end(), g.data());
        return Tuple(nb::make_tuple(static_cast<int>(result.status), result.value, result.cost, result.marginal_error,
                                    result.iterations, result.newton_iterations, result.passes,
                                    as_list(result.history)));
      },
      "A"_a.noconvert(), "C"_a.noconvert(), "y"_a.noconvert(), "metric"_a, "weights"_a.noconvert(),
      "masses"_a.noconvert(), "f"_a.noconvert(), "g"_a.noconvert(), "reg"_a, "tol"_a, "maxiter"_a, "n_threads"_a = 0,
      "callback"_a = nb::none(), "each_iteration"_a = nb::none());
}

}  // namespace

void bind_ot_barycenter(nb::module_& module) {
  bind_barycenter<float>(module);
  bind_barycenter<double>(module);
}

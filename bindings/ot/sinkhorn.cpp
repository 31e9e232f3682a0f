#include "nearlinear/ot/sinkhorn.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>
#include <vector>

#include "ot/cost.hpp"

void bind_ot_sinkhorn(nb::module_& module);

namespace {

using nearlinear::Index;

nearlinear::SinkhornMethod method_of(const std::string& name) {
  if (name == "sns") return nearlinear::SinkhornMethod::sns;
  return name == "sinkhorn" ? nearlinear::SinkhornMethod::sinkhorn : nearlinear::SinkhornMethod::automatic;
}

Tuple as_tuple(const nearlinear::SinkhornIteration& iteration) {
  return Tuple(nb::make_tuple(iteration.iteration, iteration.reg, iteration.marginal_error, iteration.newton,
                              iteration.cg_iterations, iteration.nnz));
}

template <class T>
void bind_sinkhorn(nb::module_& module) {
  module.def(
      "sinkhorn",
      [](const VectorArray<double>& a, const VectorArray<double>& b, const MatrixInput<T>& C, const MatrixInput<T>& y,
         const std::string& metric, const VectorOutput<double>& f, const VectorOutput<double>& g, bool is_warm,
         double reg, const std::string& method, double tol, std::optional<Index> maxiter, Index sns_sweeps,
         double sns_density, int n_threads, const nb::object& callback, const nb::object& each_iteration) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        nearlinear::SinkhornOptions options{.reg = reg,
                                            .method = method_of(method),
                                            .tol = tol,
                                            .maxiter = maxiter,
                                            .sns_sweeps = sns_sweeps,
                                            .sns_density = sns_density};
        if (is_warm) {
          options.f = {f.data(), f.size()};
          options.g = {g.data(), g.size()};
        }
        if (!each_iteration.is_none())
          options.callback = [&each_iteration](const nearlinear::SinkhornIteration& iteration) {
            const nb::gil_scoped_acquire gil;
            return !nb::cast<bool>(nb::bool_(each_iteration(as_tuple(iteration))));
          };
        const nearlinear::TransportCost<T> cost = cost_of<T>(C, y, metric);
        const auto result = without_gil([&] { return nearlinear::sinkhorn<T>(view(a), view(b), cost, options, run); });
        std::copy(result.f.begin(), result.f.end(), f.data());
        std::copy(result.g.begin(), result.g.end(), g.data());
        List history;
        for (const auto& iteration : result.history) history.append(as_tuple(iteration));
        return Tuple(nb::make_tuple(static_cast<int>(result.status), result.value, result.cost, result.marginal_error,
                                    result.iterations, result.newton_iterations, result.passes, history));
      },
      "a"_a.noconvert(), "b"_a.noconvert(), "C"_a.noconvert(), "y"_a.noconvert(), "metric"_a, "f"_a.noconvert(),
      "g"_a.noconvert(), "is_warm"_a, "reg"_a, "method"_a, "tol"_a, "maxiter"_a.none(), "sns_sweeps"_a, "sns_density"_a,
      "n_threads"_a = 0, "callback"_a = nb::none(), "each_iteration"_a = nb::none());
}

}  // namespace

void bind_ot_sinkhorn(nb::module_& module) {
  bind_sinkhorn<float>(module);
  bind_sinkhorn<double>(module);
}

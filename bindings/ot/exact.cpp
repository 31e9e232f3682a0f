#include "nearlinear/ot/exact.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "ot/cost.hpp"

void bind_ot_exact(nb::module_& module);

namespace {

using nearlinear::Index;

template <class T>
void bind_exact(nb::module_& module) {
  module.def(
      "exact",
      [](const VectorArray<double>& a, const VectorArray<double>& b, const MatrixInput<T>& C, const MatrixInput<T>& y,
         const std::string& metric, const VectorOutput<double>& f, const VectorOutput<double>& g, bool is_warm,
         std::optional<Index> maxiter, int n_threads, const nb::object& callback, const nb::object& each_round) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        nearlinear::ExactOptions options{.maxiter = maxiter};
        if (is_warm) {
          options.f = {f.data(), f.size()};
          options.g = {g.data(), g.size()};
        }
        if (!each_round.is_none())
          options.callback = [&each_round](const nearlinear::ExactIteration& at) {
            const nb::gil_scoped_acquire gil;
            return !nb::cast<bool>(nb::bool_(each_round(nb::make_tuple(at.iteration, at.cost, at.forbidden_mass))));
          };
        const nearlinear::TransportProblem<T> problem{view(a), view(b), cost_of<T>(C, y, metric)};
        auto result = without_gil([&] { return nearlinear::exact<T>(problem, options, run); });
        std::copy(result.f.begin(), result.f.end(), f.data());
        std::copy(result.g.begin(), result.g.end(), g.data());
        return Tuple(nb::make_tuple(static_cast<int>(result.status), as_numpy(std::move(result.plan.data)),
                                    as_numpy(std::move(result.plan.indices)), as_numpy(std::move(result.plan.indptr)),
                                    result.cost, result.gap, result.marginal_error, result.iterations));
      },
      "a"_a.noconvert(), "b"_a.noconvert(), "C"_a.noconvert(), "y"_a.noconvert(), "metric"_a, "f"_a.noconvert(),
      "g"_a.noconvert(), "is_warm"_a, "maxiter"_a.none(), "n_threads"_a = 0, "callback"_a = nb::none(),
      "each_round"_a = nb::none());
}

}  // namespace

void bind_ot_exact(nb::module_& module) {
  bind_exact<float>(module);
  bind_exact<double>(module);
}

#include "nearlinear/sampling/regression.hpp"

#include "sampling/stored.hpp"

void bind_sampling_regression(nb::module_& module);

void bind_sampling_regression(nb::module_& module) {
  using nearlinear::Index;
  module.def(
      "lp_regression",
      [](const StoredTuple& A, const VectorArray<double>& b, double p, const OptionalVector& weights,
         const VectorOutput<double>& x, double tol, Index maxiter, int n_threads, const nb::object& callback) -> Tuple {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const nearlinear::LpRegressionOptions options{tol, maxiter};
        const auto result = without_gil([&] {
          return nearlinear::lp_regression(stored_matrix(A), view(b), p, view_or_nothing(weights), view(x), options,
                                           run);
        });
        return nb::make_tuple(static_cast<int>(result.status), result.norm, result.gap, result.iterations, result.rank);
      },
      "A"_a.noconvert(), "b"_a.noconvert(), "p"_a, "weights"_a.noconvert().none(), "x"_a.noconvert(), "tol"_a,
      "maxiter"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

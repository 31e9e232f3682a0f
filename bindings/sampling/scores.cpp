#include "nearlinear/sampling/scores.hpp"

#include "sampling/stored.hpp"

void bind_sampling_scores(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::LeverageMethod;
using nearlinear::LeverageOptions;
using nearlinear::LewisOptions;

void bind_leverage_scores(nb::module_& module) {
  nb::enum_<LeverageMethod>(module, "LeverageMethod")
      .value("auto", LeverageMethod::automatic)
      .value("exact", LeverageMethod::exact)
      .value("sketch", LeverageMethod::sketch);
  module.def(
      "leverage_scores",
      [](const StoredTuple& A, const VectorOutput<double>& scores, LeverageMethod method, double ridge,
         std::optional<double> rcond, std::uint64_t seed, int n_threads, const nb::object& callback) -> Tuple {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const LeverageOptions options{method, ridge, rcond, seed};
        const auto result =
            without_gil([&] { return nearlinear::leverage_scores(stored_matrix(A), view(scores), options, run); });
        return nb::make_tuple(result.rank, result.condition);
      },
      "A"_a.noconvert(), "scores"_a.noconvert(), "method"_a, "ridge"_a, "rcond"_a.none(), "seed"_a, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

void bind_lewis_weights(nb::module_& module) {
  module.def(
      "lewis_weights",
      [](const StoredTuple& A, double p, const VectorOutput<double>& weights, double tol, Index maxiter, int n_threads,
         const nb::object& callback) -> Tuple {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const LewisOptions options{tol, maxiter};
        const auto result =
            without_gil([&] { return nearlinear::lewis_weights(stored_matrix(A), p, view(weights), options, run); });
        return nb::make_tuple(static_cast<int>(result.status), result.certificate, result.iterations);
      },
      "A"_a.noconvert(), "p"_a, "weights"_a.noconvert(), "tol"_a, "maxiter"_a, "n_threads"_a = 0,
      "callback"_a = nb::none());
  module.def(
      "lewis_certificate",
      [](const StoredTuple& A, double p, const VectorArray<double>& weights, int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        return without_gil([&] { return nearlinear::lewis_certificate(stored_matrix(A), p, view(weights), run); });
      },
      "A"_a.noconvert(), "p"_a, "weights"_a.noconvert(), "n_threads"_a = 0);
}

}  // namespace

void bind_sampling_scores(nb::module_& module) {
  bind_leverage_scores(module);
  bind_lewis_weights(module);
}

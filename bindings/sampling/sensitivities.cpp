#include "nearlinear/sampling/sensitivities.hpp"

#include "sampling/stored.hpp"

void bind_sampling_sensitivities(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::RowLoss;
using nearlinear::SensitivityMethod;
using nearlinear::SensitivityOptions;

void bind_names(nb::module_& module) {
  nb::enum_<RowLoss>(module, "RowLoss")
      .value("lp", RowLoss::lp)
      .value("huber", RowLoss::huber)
      .value("logistic", RowLoss::logistic);
  nb::enum_<SensitivityMethod>(module, "SensitivityMethod")
      .value("exact", SensitivityMethod::exact)
      .value("coreset", SensitivityMethod::coreset)
      .value("bucket", SensitivityMethod::bucket);
}

}  // namespace

void bind_sampling_sensitivities(nb::module_& module) {
  bind_names(module);
  module.def(
      "sensitivities",
      [](const StoredTuple& A, double p, const VectorArray<Index>& rows, const VectorOutput<double>& values,
         RowLoss loss, SensitivityMethod method, Index alpha, std::uint64_t seed, int n_threads,
         const nb::object& callback) -> Tuple {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const SensitivityOptions options{loss, method, alpha, seed};
        const auto result = without_gil(
            [&] { return nearlinear::sensitivities(stored_matrix(A), p, view(rows), view(values), options, run); });
        return nb::make_tuple(result.programs, result.unconverged, result.gap);
      },
      "A"_a.noconvert(), "p"_a, "rows"_a.noconvert(), "values"_a.noconvert(), "loss"_a, "method"_a, "alpha"_a, "seed"_a,
      "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "total_sensitivity",
      [](const StoredTuple& A, double p, Index programs, SensitivityMethod method, std::uint64_t seed, int n_threads,
         const nb::object& callback) -> Tuple {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const auto result = without_gil(
            [&] { return nearlinear::total_sensitivity(stored_matrix(A), p, programs, method, seed, run); });
        return nb::make_tuple(result.value, result.standard_error, result.programs);
      },
      "A"_a.noconvert(), "p"_a, "programs"_a, "method"_a, "seed"_a, "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "max_sensitivity",
      [](const StoredTuple& A, double p, Index most_programs, int n_threads, const nb::object& callback) -> Tuple {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const auto result =
            without_gil([&] { return nearlinear::max_sensitivity(stored_matrix(A), p, most_programs, run); });
        return nb::make_tuple(result.value, result.bound, result.row, result.programs);
      },
      "A"_a.noconvert(), "p"_a, "most_programs"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

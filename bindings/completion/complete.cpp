#include "nearlinear/completion/complete.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>
#include <vector>

#include "sparse/csr.hpp"

void bind_completion_complete(nb::module_& module);

namespace {

using nearlinear::CompletionOptions;
using nearlinear::CompletionSolver;
using nearlinear::CompletionStep;
using nearlinear::DuplicateEntries;
using nearlinear::Homotopy;
using nearlinear::Index;
using nearlinear::LowRankModel;
using nearlinear::Underdetermined;

/// Rows, columns and values of entries.
using EntriesTuple = std::tuple<VectorArray<std::int64_t>, VectorArray<std::int64_t>, VectorArray<double>>;

nearlinear::ValidationEntries validation_entries(const std::optional<EntriesTuple>& entries) {
  if (!entries) return {};
  const auto& [rows, cols, values] = *entries;
  return {view(rows), view(cols), view(values)};
}

const char* name(CompletionStep::Phase phase) {
  switch (phase) {
    case CompletionStep::Phase::biases:
      return "biases";
    case CompletionStep::Phase::descent:
      return "descent";
    case CompletionStep::Phase::plain:
      return "plain";
    case CompletionStep::Phase::homotopy:
      return "homotopy";
    case CompletionStep::Phase::polish:
      return "polish";
    case CompletionStep::Phase::projection:
      return "projection";
  }
  return "";
}

Tuple as_tuple(const CompletionStep& step) {
  return Tuple(nb::make_tuple(step.iteration, name(step.phase), step.lam, step.objective, step.training_rmse,
                              step.validation_rmse, step.seconds, step.inner_iterations));
}

/// A callback of Python's, which stops by True; none for None.
std::function<bool(const CompletionStep&)> callback_of(const nb::object& callback) {
  if (callback.is_none()) return {};
  return [&callback](const CompletionStep& step) {
    const nb::gil_scoped_acquire gil;
    return !nb::cast<bool>(nb::bool_(callback(as_tuple(step))));
  };
}

auto indices(const std::vector<Index>& lines) {
  nearlinear::Array<Index> array(static_cast<Index>(lines.size()));
  std::copy(lines.begin(), lines.end(), array.data());
  return as_numpy(std::move(array));
}

Tuple as_tuple(nearlinear::Completion&& result) {
  List history;
  for (const CompletionStep& step : result.history) history.append(as_tuple(step));
  return Tuple(nb::make_tuple(static_cast<int>(result.status), nb::cast(std::move(result.model)), result.iterations,
                              result.lam, result.objective, result.training_rmse, result.validation_rmse,
                              result.used_homotopy, history, indices(result.left_out_rows),
                              indices(result.left_out_cols)));
}

template <class I>
void bind_complete(nb::module_& module) {
  module.def(
      "complete",
      [](const CsrTuple<double, I>& X, const VectorArray<double>& weights, std::optional<Index> rank,
         const CompletionOptions& options, const LowRankModel* start, const std::optional<EntriesTuple>& validation,
         int n_threads, const nb::object& callback, const nb::object& each_step) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        CompletionOptions wanted = options;
        wanted.start = start;
        wanted.callback = callback_of(each_step);
        return as_tuple(without_gil([&] {
          return nearlinear::complete(csr_view<double, I>(X), view(weights), rank.value_or(nearlinear::unknown_rank),
                                      wanted, validation_entries(validation), run);
        }));
      },
      "X"_a.noconvert(), "weights"_a.noconvert(), "rank"_a.none(), "options"_a, "start"_a.none(),
      "validation"_a.noconvert().none(), "n_threads"_a = 0, "callback"_a = nb::none(), "each_step"_a = nb::none());
}

void bind_options(nb::module_& module) {
  nb::enum_<CompletionSolver>(module, "CompletionSolver")
      .value("auto", CompletionSolver::automatic)
      .value("als", CompletionSolver::alternating_exact)
      .value("cg", CompletionSolver::conjugate_gradients)
      .value("vp", CompletionSolver::variable_projection)
      .value("sketch", CompletionSolver::sketch);
  nb::enum_<Homotopy>(module, "Homotopy")
      .value("auto", Homotopy::automatic)
      .value("on", Homotopy::on)
      .value("off", Homotopy::off);
  // Names that "raise" cannot have in a stub: it is a keyword.
  nb::enum_<Underdetermined>(module, "Underdetermined")
      .value("refuse", Underdetermined::refuse)
      .value("ridge", Underdetermined::ridge)
      .value("drop", Underdetermined::drop);
  nb::enum_<DuplicateEntries>(module, "DuplicateEntries")
      .value("refuse", DuplicateEntries::refuse)
      .value("mean", DuplicateEntries::mean)
      .value("sum", DuplicateEntries::sum)
      .value("last", DuplicateEntries::last);
  nb::class_<CompletionOptions>(module, "CompletionOptions")
      .def(nb::init<>())
      .def_rw("lam", &CompletionOptions::lam)
      .def_rw("chooses_lam", &CompletionOptions::chooses_lam)
      .def_rw("biases", &CompletionOptions::biases)
      .def_rw("nonnegative", &CompletionOptions::nonnegative)
      .def_rw("implicit", &CompletionOptions::implicit)
      .def_rw("solver", &CompletionOptions::solver)
      .def_rw("homotopy", &CompletionOptions::homotopy)
      .def_rw("underdetermined", &CompletionOptions::underdetermined)
      .def_rw("duplicates", &CompletionOptions::duplicates)
      .def_rw("tol", &CompletionOptions::tol)
      .def_rw("maxiter", &CompletionOptions::maxiter)
      .def_rw("patience", &CompletionOptions::patience)
      .def_rw("seed", &CompletionOptions::seed);
}

}  // namespace

void bind_completion_complete(nb::module_& module) {
  bind_options(module);
  bind_complete<std::int32_t>(module);
  bind_complete<std::int64_t>(module);
}

#include "nearlinear/sampling/sample.hpp"

#include "sampling/stored.hpp"

void bind_sampling_sample(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::RowScore;
using nearlinear::SampleOptions;

Tuple as_tuple(nearlinear::RowSample&& sample) {
  return nb::make_tuple(as_numpy(std::move(sample.indices)), as_numpy(std::move(sample.weights)),
                        as_numpy(std::move(sample.scale)), as_numpy(std::move(sample.probabilities)),
                        as_numpy(std::move(sample.scores)), sample.score);
}

void bind_names(nb::module_& module) {
  nb::enum_<RowScore>(module, "RowScore")
      .value("auto", RowScore::automatic)
      .value("uniform", RowScore::uniform)
      .value("leverage", RowScore::leverage)
      .value("root_leverage", RowScore::root_leverage)
      .value("lewis", RowScore::lewis)
      .value("sensitivity", RowScore::sensitivity)
      .value("sensitivity_leverage", RowScore::sensitivity_leverage);
}

}  // namespace

void bind_sampling_sample(nb::module_& module) {
  bind_names(module);
  module.def(
      "sample_rows",
      [](const StoredTuple& A, double p, RowScore score, const OptionalVector& scores, Index rows, double eps,
         double delta, bool with_replacement, bool exact_size, std::uint64_t seed, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const SampleOptions options{score, view_or_nothing(scores), rows,       eps,
                                    delta, with_replacement,        exact_size, seed};
        return as_tuple(without_gil([&] { return nearlinear::sample_rows(stored_matrix(A), p, options, run); }));
      },
      "A"_a.noconvert(), "p"_a, "score"_a, "scores"_a.noconvert().none(), "rows"_a, "eps"_a, "delta"_a,
      "with_replacement"_a, "exact_size"_a, "seed"_a, "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "embedding_distortion",
      [](const StoredTuple& A, double p, const VectorArray<Index>& indices, const VectorArray<double>& weights,
         Index directions, std::uint64_t seed, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] {
          return nearlinear::embedding_distortion(stored_matrix(A), p, view(indices), view(weights), directions, seed,
                                                  run);
        });
      },
      "A"_a.noconvert(), "p"_a, "indices"_a.noconvert(), "weights"_a.noconvert(), "directions"_a, "seed"_a,
      "n_threads"_a = 0, "callback"_a = nb::none());
}

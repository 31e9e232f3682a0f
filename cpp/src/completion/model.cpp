// What a model says of single entries, of new lines, and of the largest entries of a row.
#include "nearlinear/completion/model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "completion/half_sweeps.hpp"
#include "core/arithmetic.hpp"
#include "linalg/progress.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/elementwise.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear {
namespace {

void require_valid_model(const LowRankModel& model, const char* function) {
  require(model.rows >= 0 && model.cols >= 0 && model.rank >= 0, function, ": the model is ",
          Shape{model.rows, model.cols}, " of rank ", model.rank, "; nothing may be negative");
  require(model.left.size() == checked_product(model.rows, model.rank) &&
              model.right.size() == checked_product(model.cols, model.rank),
          function, ": the model is ", Shape{model.rows, model.cols}, " of rank ", model.rank,
          ", but its factors have ", model.left.size(), " and ", model.right.size(), " entries");
  require((model.row_bias.size() == 0 && model.col_bias.size() == 0) ||
              (model.row_bias.size() == model.rows && model.col_bias.size() == model.cols),
          function, ": the model is ", Shape{model.rows, model.cols}, ", but has ", model.row_bias.size(), " and ",
          model.col_bias.size(), " biases");
}

}  // namespace

void predict(const LowRankModel& model, std::span<const std::int64_t> rows, std::span<const std::int64_t> cols,
             std::span<double> values, const RunOptions& run) {
  constexpr const char* caller = "predict";
  require_valid_model(model, caller);
  require(rows.size() == cols.size() && rows.size() == values.size(), caller, ": rows has ", rows.size(),
          " entries, cols has ", cols.size(), " and values has ", values.size(), "; they must have the same");
  for (std::size_t e = 0; e < rows.size(); ++e) {
    require(rows[e] >= 0 && rows[e] < model.rows, caller, ": rows has the entry ", rows[e], " at index ", e,
            "; the model has ", model.rows, " rows");
    require(cols[e] >= 0 && cols[e] < model.cols, caller, ": cols has the entry ", cols[e], " at index ", e,
            "; the model has ", model.cols, " columns");
  }
  constexpr Index block = 4096;
  const auto count = std::ssize(rows);
  Monitor monitor(run.keep_going);
  const int threads = linalg::threads_at(linalg::memory_rate, run.n_threads, count, model.rank + 8);
  parallel_for(ceil_divide(count, block), threads, monitor, [&](Index b) {
    for (auto e = static_cast<std::size_t>(b * block); e < static_cast<std::size_t>(std::min(count, (b + 1) * block));
         ++e) {
      const double* const u = model.left.data() + rows[e] * model.rank;
      const double* const v = model.right.data() + cols[e] * model.rank;
      double sum = 0;
      for (Index k = 0; k < model.rank; ++k) sum += u[k] * v[k];
      if (model.has_biases()) sum += model.row_bias[rows[e]] + model.col_bias[cols[e]];
      values[e] = model.mu + sum;
    }
  });
}

void recommend(const LowRankModel& model, Index row, std::span<const std::int64_t> seen, std::span<Index> cols,
               std::span<double> values, const RunOptions& run) {
  constexpr const char* caller = "recommend";
  require_valid_model(model, caller);
  require(row >= 0 && row < model.rows, caller, ": row is ", row, "; the model has ", model.rows, " rows");
  require(cols.size() == values.size(), caller, ": cols has ", cols.size(), " entries and values has ", values.size());
  Array<double> scores(model.cols);
  const double* const u = model.left.data() + row * model.rank;
  if (model.rank > 0)
    gemv_pair<double>(model.V(), {u, static_cast<std::size_t>(model.rank)}, scores.span(), {}, {}, run);
  else
    std::fill(scores.begin(), scores.end(), 0.0);
  for (Index j = 0; j < model.cols; ++j)
    scores[j] += model.mu + (model.has_biases() ? model.row_bias[row] + model.col_bias[j] : 0);
  Index left = model.cols;
  for (std::size_t e = 0; e < seen.size(); ++e) {
    require(seen[e] >= 0 && seen[e] < model.cols, caller, ": seen has the entry ", seen[e], " at index ", e,
            "; the model has ", model.cols, " columns");
    double& score = scores[seen[e]];
    left -= std::isfinite(score) ? 1 : 0;
    score = -std::numeric_limits<double>::infinity();
  }
  require(std::ssize(cols) <= left, caller, ": ", cols.size(), " columns are asked for, and ", left,
          " of the model's are left");
  top_k<double>(scores.span(), std::ssize(cols), cols);
  for (std::size_t r = 0; r < cols.size(); ++r) values[r] = scores[cols[r]];
}

template <class I>
void fold_in(const LowRankModel& model, const CsrView<double, I>& X, std::span<const double> weights,
             MatrixView<double> factors, std::span<double> biases, const FoldInOptions& options,
             const RunOptions& run) {
  constexpr const char* caller = "fold_in";
  require_valid_model(model, caller);
  const bool are_rows = options.axis == FoldAxis::rows;
  const Index others = are_rows ? model.cols : model.rows;
  require(X.cols == others, caller, ": X is ", Shape{X.rows, X.cols}, "; a new ", are_rows ? "row" : "column",
          " of the model has ", others, " entries");
  require(factors.rows() == X.rows && factors.cols() == model.rank, caller, ": factors is ", shape(factors),
          "; it must be ", Shape{X.rows, model.rank});
  require(std::ssize(biases) == (model.has_biases() ? X.rows : 0), caller, ": biases has ", biases.size(),
          " entries; it must have ", model.has_biases() ? X.rows : 0);
  require(options.lam >= 0 && std::isfinite(options.lam), caller, ": lam is ", options.lam,
          "; it must be finite and not negative");
  linalg::Progress progress(run);
  completion::Observations observed =
      completion::observe(X, weights, DuplicateEntries::refuse, caller, progress.part(0, 0.5));
  if (options.implicit) completion::make_implicit(observed, caller, progress.part(0.5, 0.5));
  const completion::Scale scale = completion::rescale(observed);
  if (!options.implicit) completion::subtract(observed, scale.value(model.mu));
  completion::PaddedFactor other(others, model.rank, model.has_biases()), own(X.rows, model.rank, model.has_biases());
  const MatrixView<double> from = are_rows ? model.V() : model.U();
  const Array<double>& other_bias = are_rows ? model.col_bias : model.row_bias;
  for (Index j = 0; j < others; ++j) {
    for (Index k = 0; k < model.rank; ++k) other.row(j)[k] = scale.factor(from(j, k));
    if (model.has_biases()) other.row(j)[model.rank] = scale.value(other_bias[j]);
  }
  completion::HalfSweeps sweeps(observed, options.implicit, progress.part(0.5, 1));
  sweeps.update(
      observed.rows, other, own, {scale.ridge(options.lam), options.lam},
      {.solver = options.nonnegative ? completion::LineSolver::nonnegative : completion::LineSolver::cholesky}, false);
  for (Index i = 0; i < X.rows; ++i) {
    for (Index k = 0; k < model.rank; ++k) factors(i, k) = scale.factor_back(own.row(i)[k]);
    if (model.has_biases()) biases[static_cast<std::size_t>(i)] = scale.value_back(own.row(i)[model.rank]);
  }
}

template void fold_in(const LowRankModel&, const CsrView<double, std::int32_t>&, std::span<const double>,
                      MatrixView<double>, std::span<double>, const FoldInOptions&, const RunOptions&);
template void fold_in(const LowRankModel&, const CsrView<double, std::int64_t>&, std::span<const double>,
                      MatrixView<double>, std::span<double>, const FoldInOptions&, const RunOptions&);

}  // namespace nearlinear

#include <algorithm>
#include <cmath>
#include <vector>

#include "linalg/progress.hpp"
#include "nearlinear/core/random.hpp"
#include "nearlinear/linalg/spectral.hpp"
#include "nearlinear/sampling/sample.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sampling/rows_in_white.hpp"

namespace nearlinear {
namespace {

using sampling::LossFunction;
using sampling::Scratch;
using sampling::WhiteRows;

constexpr const char* caller = "embedding_distortion";

/// The singular values of S A in coordinates in which those of A are 1.
double distortion_of_2_norm(const WhiteRows& V, std::span<const Index> indices, std::span<const double> weights,
                            const RunOptions& run) {
  const auto m = std::ssize(indices);
  const Array<double> rows(checked_product(m, V.rank)), s(std::min(m, V.rank));
  for (Index k = 0; k < m; ++k) {
    V.copy(indices[static_cast<std::size_t>(k)], rows.data() + k * V.rank);
    const double root = std::sqrt(weights[static_cast<std::size_t>(k)]);
    for (Index j = 0; j < V.rank; ++j) rows[k * V.rank + j] *= root;
  }
  const bool converged = svd<double>({rows.data(), m, V.rank}, {nullptr, m, 0}, s.span(), {nullptr, V.rank, 0},
                                     SvdMethod::divide_and_conquer, run);
  require(converged, caller, ": the singular values of S A could not be found");
  const double least = m < V.rank ? 0 : s[s.size() - 1];
  return std::max(std::abs(s[0] - 1), std::abs(1 - least));
}

/// |S A x|_p / |A x|_p and its logarithm's gradient.
class Ratio {
 public:
  Ratio(const WhiteRows& V, MatrixView<const double> of_sample, std::span<const double> weights, double p)
      : V_(V.view()), sample_(of_sample), weights_(weights), ones_(V.rows), loss_(RowLoss::lp, p), p_(p) {
    std::fill(ones_.begin(), ones_.end(), 1.0);
  }

  double operator()(std::span<const double> x, std::span<double> gradient, Scratch& scratch) const {
    const double whole = sum(V_, ones_.span(), x, gradient, scratch);
    const auto other = std::span<double>(scratch.room(2, V_.rows()), static_cast<std::size_t>(V_.rows()));
    const double part = sum(sample_, weights_, x, other, scratch);
    for (std::size_t k = 0; k < gradient.size(); ++k)
      gradient[k] = (part > 0 ? other[k] / part : 0) - gradient[k] / whole;
    return std::pow(part / whole, 1 / p_);
  }

 private:
  double sum(MatrixView<const double> V, std::span<const double> w, std::span<const double> x,
             std::span<double> gradient, Scratch& scratch) const {
    const Index n = V.cols();
    const auto y = std::span<double>(scratch.room(0, n), static_cast<std::size_t>(n)),
               g = std::span<double>(scratch.room(1, n), static_cast<std::size_t>(n));
    sampling::kernels().combine(n, sampling::columns(V), x.data(), y.data());
    const double value = loss_.gradient(w, y, g);
    sampling::kernels().reduce(n, sampling::columns(V), g.data(), gradient.data());
    return value;
  }

  MatrixView<const double> V_;
  MatrixView<const double> sample_;
  std::span<const double> weights_;
  Array<double> ones_;
  LossFunction loss_;
  double p_;
};

/// Goes uphill (or, with sign -1, downhill) on the ratio from x by steps that are halved until they help.
double climb(const Ratio& ratio, std::span<double> x, double sign, Scratch& scratch) {
  constexpr int most_steps = 10, most_halvings = 6;
  const auto size = std::ssize(x);
  const auto gradient = std::span<double>(scratch.room(3, size), x.size()),
             next = std::span<double>(scratch.room(4, size), x.size()),
             next_gradient = std::span<double>(scratch.room(5, size), x.size());
  const auto norm = [](std::span<const double> v) {
    double squares = 0;
    for (const double entry : v) squares += entry * entry;
    return std::sqrt(squares);
  };
  double value = ratio(x, gradient, scratch), step = 0.5;
  for (int k = 0; k < most_steps; ++k) {
    const double length = norm(gradient), scale = norm(x);
    if (!(length > 0)) break;
    bool is_better = false;
    for (int h = 0; h < most_halvings && !is_better; ++h) {
      for (std::size_t j = 0; j < x.size(); ++j) next[j] = x[j] + sign * step * scale / length * gradient[j];
      const double found = ratio(next, next_gradient, scratch);
      is_better = sign * (found - value) > 0;
      if (is_better) {
        std::copy(next.begin(), next.end(), x.begin());
        std::copy(next_gradient.begin(), next_gradient.end(), gradient.begin());
        value = found;
        step *= 1.5;
      } else {
        step /= 2;
      }
    }
    if (!is_better) break;
  }
  return value;
}

}  // namespace

double embedding_distortion(const StoredMatrix& A, double p, std::span<const Index> indices,
                            std::span<const double> weights, Index directions, std::uint64_t seed,
                            const RunOptions& run) {
  const auto matrix = sampling::matrix_of(A, caller);
  sampling::require_valid_p(p, caller);
  require(indices.size() == weights.size(), caller, ": indices has ", indices.size(), " entries and weights has ",
          weights.size());
  require(!indices.empty(), caller, ": the sample has no rows");
  require(directions >= 1, caller, ": directions is ", directions, "; it must be at least 1");
  for (std::size_t k = 0; k < indices.size(); ++k) {
    require(indices[k] >= 0 && indices[k] < matrix->rows(), caller, ": indices has the entry ", indices[k],
            " at index ", k, "; A has ", matrix->rows(), " rows");
    require(weights[k] >= 0 && std::isfinite(weights[k]), caller, ": weights has the entry ", weights[k], " at index ",
            k, "; weights must be finite and not negative");
  }
  linalg::Progress progress(run);
  const WhiteRows V = sampling::white_rows(*matrix, caller, progress.part(0, 0.1));
  if (V.rank == 0) return 0;
  if (p == 2) return distortion_of_2_norm(V, indices, weights, progress.part(0.1, 1));

  const auto m = std::ssize(indices);
  const Array<double> columns(checked_product(m, V.rank));
  for (Index k = 0; k < m; ++k)
    for (Index j = 0; j < V.rank; ++j)
      columns[j * m + k] = V.entries[j * V.rows + indices[static_cast<std::size_t>(k)]];
  const Ratio ratio(V, {columns.data(), V.rank, m}, weights, p);
  const RandomStream normal(seed, 4);
  const auto direction = [&](Index which, std::span<double> x) {
    for (std::size_t j = 0; j < x.size(); ++j) x[j] = normal.normal(static_cast<std::uint64_t>(which * V.rank) + j);
  };
  const auto for_directions = [&](Index count, double begin, double end, const auto& body) {
    const RunOptions part = progress.part(begin, end);
    const double work = 8.0 * static_cast<double>(V.rows) * static_cast<double>(V.rank);
    const int threads =
        thread_count(part.n_threads, static_cast<Index>(std::min(1e18, work * static_cast<double>(count))));
    std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
    Monitor monitor(part.keep_going);
    parallel_for_workers(count, threads, monitor,
                         [&](Index k, int worker) { body(k, scratch[static_cast<std::size_t>(worker)]); });
  };
  const Array<double> ratios(directions);
  for_directions(directions, 0.1, 0.6, [&](Index k, Scratch& scratch) {
    const auto x = std::span<double>(scratch.room(6, V.rank), static_cast<std::size_t>(V.rank)),
               gradient = std::span<double>(scratch.room(7, V.rank), static_cast<std::size_t>(V.rank));
    direction(k, x);
    ratios[k] = ratio(x, gradient, scratch);
  });
  std::vector<Index> order(static_cast<std::size_t>(directions));
  for (std::size_t k = 0; k < order.size(); ++k) order[k] = static_cast<Index>(k);
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return ratios[a] < ratios[b]; });
  constexpr Index climbers = 8;
  const Index each = std::min(climbers, directions);
  const Array<double> found(2 * each);
  for_directions(2 * each, 0.6, 1, [&](Index k, Scratch& scratch) {
    const auto x = std::span<double>(scratch.room(6, V.rank), static_cast<std::size_t>(V.rank));
    direction(
        k < each ? order[static_cast<std::size_t>(k)] : order[static_cast<std::size_t>(directions - 1 - (k - each))],
        x);
    found[k] = climb(ratio, x, k < each ? -1 : 1, scratch);
  });
  double worst = 0;
  for (const double value : found) worst = std::max(worst, std::abs(value - 1));
  return worst;
}

}  // namespace nearlinear

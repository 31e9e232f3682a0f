// Lewis weights to a few digits, in one read of A for each iteration: while rows are in the cache, they give their
// leverage scores, these the next weights, and these the rows' part of the next Gram matrix.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "linalg/elementwise_kernels.hpp"
#include "linalg/kernels.hpp"
#include "linalg/progress.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sketch/preconditioner.hpp"

namespace nearlinear::sampling {
namespace {

constexpr double rough_unit = std::numeric_limits<float>::epsilon() / 2;

/// Whether single precision is good enough with this factor: to some 1e-4.
bool is_moderate(const sketch::Square& R) {
  constexpr double most = 100, largest = 1e12;
  const Array<double> lengths(R.size);
  const sketch::Square scaled = sketch::scale_columns(R, lengths.span());
  const auto [least_length, largest_length] = std::minmax_element(lengths.begin(), lengths.end());
  return *largest_length < largest && *least_length > 1 / largest &&
         sketch::estimate_condition(scaled, {.n_threads = 1}).number() <= most;
}

/// max |exp(x_i - y_i) - 1|.
double largest_deviation(const Array<double>& x, const Array<double>& y) {
  double largest = 0;
  for (Index i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return std::expm1(largest);  // no less, and where it counts no more than a little
}

}  // namespace

std::optional<LewisResult> find_rough_lewis_weights(Matrix& A, double p, std::span<double> weights,
                                                    const LewisOptions& options, const RunOptions& run) {
  const Index n = A.rows(), d = A.cols();
  if (n < d) return std::nullopt;
  const auto& elementwise = linalg::kernels().elementwise->f64;
  const double root_exponent = 0.5 - 1 / p;
  const std::vector<ExponentCycle> cycles = exponents_of(p);
  std::size_t which = 0, step = 0;  // of the cycle
  linalg::Progress progress(run);
  const auto done = [](Index k) { return 1 - std::pow(0.7, static_cast<double>(k)); };
  const Array<double> log_weights(n), log_scores(n), best_weights(n), best_scores(n);
  std::fill(log_weights.begin(), log_weights.end(), std::log(static_cast<double>(d) / static_cast<double>(n)));
  sketch::Square G(d);
  const auto next = [&](Index i) { return log_weights[i] + cycles[which].at(step) * (log_scores[i] - log_weights[i]); };
  A.reweighted_gram(nullptr, [](Index, Index, const double*) {}, G.view(), progress.part(0, done(1)));
  LewisResult result;
  double best = std::numeric_limits<double>::infinity(), before = best;
  // The roots of the weights in G are 1 at first, and w^{1/2 - 1/p} from then on.
  for (bool is_first = true;; is_first = false) {
    const std::optional<sketch::Square> R = sketch::cholesky_factor(G, rough_unit, progress.part(0, 0));
    if (!R || !is_moderate(*R)) return std::nullopt;
    std::atomic<bool> is_too_short = false;  // a row, for single precision
    A.reweighted_gram(
        &*R,
        [&](Index begin, Index end, double* values) {
          const Index size = end - begin;
          if (!std::all_of(values, values + size, [](double value) { return value > 0; })) is_too_short = true;
          elementwise.log(values, log_scores.data() + begin, size);
          for (Index i = begin; i < end; ++i) {
            if (!is_first) log_scores[i] += 2 * root_exponent * log_weights[i];
            values[i - begin] = root_exponent * next(i);
          }
          elementwise.exp(values, values, size);
        },
        G.view(), progress.part(done(result.iterations + 1), done(result.iterations + 2)));
    if (is_too_short) return std::nullopt;
    result.certificate = largest_deviation(log_scores, log_weights);
    if (result.certificate <= options.tol) break;
    if (result.iterations >= options.maxiter) return std::nullopt;
    ++result.iterations;
    constexpr double slow = 0.7;
    const bool is_slow = cycles[which].begins(step) && !(result.certificate < slow * before);
    if (cycles[which].begins(step)) before = result.certificate;
    if (result.certificate < best) {
      best = result.certificate;
      std::copy(log_weights.begin(), log_weights.end(), best_weights.begin());
      std::copy(log_scores.begin(), log_scores.end(), best_scores.begin());
    }
    if (is_slow) {  // other exponents, from the best weights so far
      if (++which == cycles.size()) return std::nullopt;
      step = 0;
      before = best;
      std::copy(best_weights.begin(), best_weights.end(), log_weights.begin());
      std::copy(best_scores.begin(), best_scores.end(), log_scores.begin());
      A.reweighted_gram(
          nullptr,
          [&](Index begin, Index end, double* values) {
            for (Index i = begin; i < end; ++i) values[i - begin] = root_exponent * next(i);
            elementwise.exp(values, values, end - begin);
          },
          G.view(), progress.part(done(result.iterations + 1), done(result.iterations + 1)));
    }
    for (Index i = 0; i < n; ++i) log_weights[i] = next(i);
    ++step;
  }
  elementwise.exp(log_weights.data(), weights.data(), n);
  return result;
}

}  // namespace nearlinear::sampling

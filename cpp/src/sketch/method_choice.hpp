/// Which method a problem is tried with first.
#pragma once

#include <algorithm>
#include <optional>

#include "sketch/method_costs.hpp"
#include "sketch/passes.hpp"
#include "sketch/refinement.hpp"

namespace nearlinear::sketch {

/// What a correction by R from A^T A leaves of an error is some multiple of u cond(R)^2, columns being scaled.
template <class T>
[[nodiscard]] bool is_good_for_refinement(const Square& R, const RunOptions& run) {
  const Array<double> lengths(R.size);
  const double condition = estimate_condition(scale_columns(R, lengths.span()), run).number();
  return 10 * unit_roundoff<T> * condition * condition < 0.1;
}

template <class T>
class MethodChoice {
 public:
  MethodChoice(Passes<T>& passes, const LstsqOptions& options) : passes_(passes), options_(options) {}

  [[nodiscard]] LstsqMethod best(const RunOptions& run) {
    if (options_.rcond) return passes_.has_rows() ? LstsqMethod::tsqr : LstsqMethod::sketch_cg;
    if (!passes_.has_rows()) return LstsqMethod::sketch_cg;
    if (passes_.is_sparse()) return LstsqMethod::cholesky;
    const MethodCosts now = costs();
    constexpr double small = 2e6;  // operations of a QR factorisation that are not worth a thought
    if (now.n < 4 * now.d || 2 * now.n * now.d * now.d < small) return LstsqMethod::tsqr;
    const LstsqMethod other = best_but_cholesky();
    const double by_cholesky = now.cholesky(), by_other = cost_of(other);
    if (by_other <= by_cholesky) return other;
    // What fails costs time: a look at some rows tells how they are conditioned, unless that takes long itself.
    const Index d = passes_.cols(), rows = std::min(passes_.rows(), d <= 256 ? 4 * d : d + d / 2);
    const double looking = static_cast<double>(rows) * now.d * now.d / now.product_rate();
    if (rows > 0 && looking <= 0.05 * by_cholesky)
      return seems_well_conditioned(rows, run) ? LstsqMethod::cholesky : other;
    constexpr double chance = 0.6;
    return by_cholesky <= chance * by_other ? LstsqMethod::cholesky : other;
  }

  [[nodiscard]] LstsqMethod best_but_cholesky() const {
    if (passes_.is_sparse()) return LstsqMethod::sketch_cg;
    LstsqMethod best = LstsqMethod::tsqr;
    for (const LstsqMethod method : {LstsqMethod::gram, LstsqMethod::sketch_cg})
      if (cost_of(method) < cost_of(best)) best = method;
    return best;
  }

  [[nodiscard]] Index sketch_rows(LstsqMethod method) const {
    if (options_.sketch_rows > 0) return options_.sketch_rows;
    const MethodCosts now = costs();
    if (method == LstsqMethod::gram) return now.best_rows([&](double m) { return now.gram(m); });
    return now.best_rows([&](double m) { return now.sketch_cg(m); });
  }

 private:
  [[nodiscard]] MethodCosts costs() const {
    constexpr double memory_rate = 10, stream_rate = 1;  // bytes per nanosecond
    constexpr double sketching = 3;                      // nanoseconds per entry
    const auto d = static_cast<double>(passes_.cols());
    const bool is_stream = passes_.rows() == 0;  // whose rows are unknown
    const double n = is_stream ? 1e3 * d : static_cast<double>(passes_.rows());
    const double entries = is_stream ? n * d : passes_.entries();
    constexpr double sparse_pass = 6, sparse_sketch = 30;  // nanoseconds per entry
    if (passes_.is_sparse())
      return {n, d, static_cast<double>(passes_.rhs()), sparse_pass * entries, sparse_sketch * entries};
    const double pass = entries * static_cast<double>(sizeof(T)) / (is_stream ? stream_rate : memory_rate);
    return {n, d, static_cast<double>(passes_.rhs()), pass, std::max(pass, sketching * entries)};
  }

  [[nodiscard]] double cost_of(LstsqMethod method) const {
    const MethodCosts now = costs();
    if (method == LstsqMethod::tsqr) return now.tsqr();
    const auto m = static_cast<double>(sketch_rows(method));
    return method == LstsqMethod::gram ? now.gram(m) : now.sketch_cg(m);
  }

  /// Whether some rows, spread over A, have a Gram matrix with a Cholesky factor that is good enough for refinement.
  [[nodiscard]] bool seems_well_conditioned(Index rows, const RunOptions& run) {
    const Square G(passes_.cols());
    if (!passes_.sample_gram(rows, G.view(), run) || !is_finite(G.entries.span())) return true;
    for (Index j = 0; j < G.size; ++j) {
      G(j, j) += options_.ridge;
      if (G(j, j) == 0) G(j, j) = 1;  // a column of zeros, in these rows
    }
    const std::optional<Square> R = cholesky_factor(G, unit_roundoff<T>, run);
    return R && is_good_for_refinement<T>(*R, run);
  }

  Passes<T>& passes_;
  const LstsqOptions& options_;
};

}  // namespace nearlinear::sketch

/// Fewer sweeps for the same fit.
#pragma once

#include <functional>
#include <vector>

#include "completion/half_sweeps.hpp"
#include "core/threads.hpp"

namespace nearlinear::completion {

/// Anderson's acceleration of U <- G(U), an update of V and one of U. Of the last sweeps, from U_j to G_j = G(U_j), it
/// takes the combination with sum a_j = 1 and the least |sum a_j (G_j - U_j)|_F, and goes on from sum a_j G_j
/// (Anderson, Iterative procedures for nonlinear integral equations, J. ACM 1965). Near the end of a fit, where G is
/// linear, that is what GMRES would do with as many vectors (Walker and Ni, SIAM J. Numer. Anal. 2011, theorem 2.2).
class Acceleration {
 public:
  /// combines_V: an update of V begins with V, which is to be the combination's then.
  Acceleration(bool combines_V, const RunOptions& run)
      : combines_V_(combines_V), n_threads_(run.n_threads), monitor_(run.keep_going) {}

  /// Remembers U as it is before a sweep.
  void begin(const PaddedFactor& U);
  /// Back to that.
  void restore(PaddedFactor& U) const;
  /// Takes what the sweep made of it.
  void remember(const PaddedFactor& U, const PaddedFactor& V);
  /// Puts in the place of what was remembered last what the next sweep begins with.
  void extrapolate(PaddedFactor& U, PaddedFactor& V);
  /// Whether the last sweep began with a combination.
  [[nodiscard]] bool is_extrapolated() const { return is_extrapolated_; }
  /// Back to what was remembered last; nothing is kept.
  void undo(PaddedFactor& U, PaddedFactor& V);
  void forget();

 private:
  static constexpr std::size_t depth = 4;  // sweeps that are combined

  struct Sweep {
    Array<double> change, U, V;
  };

  void for_chunks(Index size, const std::function<void(Index, Index, Index)>& body);
  [[nodiscard]] std::vector<double> weights() const;
  void combine(const std::vector<double>& weights, const Array<double> Sweep::* factor, Array<double>& result);
  [[nodiscard]] std::size_t newest() const { return (taken_ + depth - 1) % depth; }
  [[nodiscard]] std::size_t count() const { return std::min(taken_, depth); }

  bool combines_V_;
  int n_threads_;
  Monitor monitor_;
  Array<double> before_, V_;      // V is of the last sweep
  Sweep sweeps_[depth];           // in turn
  double inner_[depth][depth]{};  // products of changes
  std::size_t taken_ = 0;         // since they were forgotten
  bool is_extrapolated_ = false;
};

}  // namespace nearlinear::completion

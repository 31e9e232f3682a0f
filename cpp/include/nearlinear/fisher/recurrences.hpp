/// M-FAC's own algorithms, as its paper and its authors' code have them. FisherInverse and SlidingFisherInverse compute
/// the same matrices with fewer passes, fewer operations and smaller errors; these are here to be compared with.
#pragma once

#include <memory>

#include "nearlinear/fisher/sliding_fisher_inverse.hpp"

namespace nearlinear {

/// The static algorithm: F^{-1} after gradient i by the formula of Sherman and Morrison,
///
///     hg_i = F_{i-1}^{-1} g_i = (1/lambda) g_i - sum over j < i of hg_j (hg_j g_i) / den_j,    den_i = s + g_i hg_i,
///     F^{-1} x = (1/lambda) x - sum over j of hg_j (hg_j x) / den_j.
///
/// It is the Cholesky factorisation of S = s lambda I + G G^T row by row, lambda den_i = L_ii^2 and lambda hg_i / L_ii
/// = row i of L^{-1} G.
///
/// - Cost: m^2 d operations, in m^2 d numbers read from memory; 4 m d per product. Memory: m d numbers.
/// - Throws like FisherInverse.
template <class T>  // float, double
class StaticRecurrence {
 public:
  /// normalization is s; 0: the number of gradients.
  StaticRecurrence(MatrixView<const T> gradients, double damping, double normalization = 0, const RunOptions& run = {});
  StaticRecurrence(StaticRecurrence&&) noexcept;
  StaticRecurrence& operator=(StaticRecurrence&&) noexcept;
  ~StaticRecurrence();

  [[nodiscard]] Index n_params() const;
  [[nodiscard]] Index n_gradients() const;

  /// Y <- F^{-1} X, a row for every vector.
  void apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run = {}) const;

  /// The diagonal of F^{-1}: one pass.
  void diagonal(std::span<double> out, const RunOptions& run = {}) const;

  /// den_1, ..., den_m.
  [[nodiscard]] std::span<const double> denominators() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The dynamic algorithm: a ring of gradients, of which K = G G^T is kept, and
///
///     K / lambda + s I = (unit lower) U,    D = U - s I above and on the diagonal,    den = s + diag(D),
///     b_i = e_i / lambda - sum over j < i of (D_ji / den_j) b_j,
///
/// so that, with q_i = (G x)_i / lambda - sum over j < i of (D_ji / den_j) q_j,
///
///     F^{-1} x = x / lambda - ((q / den) B) G,    s = window.
///
/// - Cost: m^3 operations and a pass over the window per gradient, two passes per product. Throws like
///   SlidingFisherInverse.
template <class T>  // float, double
class DynamicRecurrence {
 public:
  DynamicRecurrence(Index n_params, Index window, double damping);
  DynamicRecurrence(DynamicRecurrence&&) noexcept;
  DynamicRecurrence& operator=(DynamicRecurrence&&) noexcept;
  ~DynamicRecurrence();

  [[nodiscard]] Index n_params() const;
  [[nodiscard]] Index n_stored() const;

  /// Takes g in, in place of the oldest gradient.
  void update(std::span<const T> g, const RunOptions& run = {});

  /// Y <- F^{-1} X, a row for every vector.
  void apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nearlinear

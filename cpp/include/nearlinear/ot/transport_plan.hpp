/// Plans that dual variables stand for.
#pragma once

#include <memory>
#include <span>

#include "nearlinear/ot/cost.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// Which entries of a plan a sparse one keeps, row by row.
struct PlanSelection {
  /// Those above tol times the sum of their row. Below 0: no such bound.
  double tol = -1;
  /// The largest, until they hold this fraction of their row's sum; 0: no such bound.
  double mass = 0;
  /// The largest, this many; 0: no such bound. Of equals, those that come first.
  Index top_k = 0;
};

/// The plan P_ij = exp((f_i + g_j - C_ij) / reg), n x m, zero in rows where a and columns where b is zero, without
/// storing it: every product computes its entries anew.
///
/// - Refers to a matrix of costs; copies points, f, g, a and b. Empty a or b: no zeros.
/// - Cost of each method: an exponential for every pair. The same bits for every number of threads on one instruction
///   set.
/// - Throws std::invalid_argument when shapes do not match or reg is not positive, std::bad_alloc, and `interrupted`.
///
///     const nearlinear::TransportPlan<double> plan(cost, result.f, result.g, reg);
///     plan.multiply({x.data(), m, 1}, {y.data(), n, 1});   // y = P x
template <class T>  // float, double
class TransportPlan {
 public:
  TransportPlan(const TransportCost<T>& cost, std::span<const double> f, std::span<const double> g, double reg,
                std::span<const double> a = {}, std::span<const double> b = {});
  TransportPlan(TransportPlan&&) noexcept;
  TransportPlan& operator=(TransportPlan&&) noexcept;
  ~TransportPlan();

  [[nodiscard]] Index rows() const;
  [[nodiscard]] Index cols() const;

  /// Replaces f by -reg log sum_j exp((g_j - C_ij) / reg), which makes every row sum to 1.
  void normalize_rows(const RunOptions& run = {});

  /// out <- rows begin, begin + 1, ... of P, as many as `out` has.
  void dense(Index begin, MatrixView<T> out, const RunOptions& run = {}) const;

  /// Y <- P X; X is m x k, Y is n x k.
  void multiply(MatrixView<const double> X, MatrixView<double> Y, const RunOptions& run = {}) const;

  /// Y <- P^T X; X is n x k, Y is m x k. Some 32 m k numbers of memory.
  void multiply_transposed(MatrixView<const double> X, MatrixView<double> Y, const RunOptions& run = {}) const;

  /// The entries of P that satisfy all bounds of `selection`, by columns in every row.
  [[nodiscard]] CsrMatrix<T, Index> sparse(const PlanSelection& selection, const RunOptions& run = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nearlinear

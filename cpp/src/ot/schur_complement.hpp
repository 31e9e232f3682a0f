/// The semi-dual's Hessian, with small entries of the plan left out, and systems with it.
#pragma once

#include <vector>

#include "nearlinear/core/array.hpp"
#include "ot/bipartite_laplacian.hpp"
#include "ot/row_passes.hpp"

namespace nearlinear::ot {

/// A point g of the semi-dual, what belongs to it, and how good it is.
struct Iterate {
  std::vector<double> f, g;
  std::vector<double> r, c;     ///< the plan's row sums, which are a unless rows are soft, and its column sums
  std::vector<double> targets;  ///< what c must be: b unless columns are soft
  double value = 0;             ///< F(g)
  double error = 0;             ///< |targets - c|_1 / |targets|_1
};

/// S = diag(c + lambda targets) - P^T diag(share / r) P, with share = rho_a / (rho_a + reg), 1 where rows are not soft,
/// and with r and c the sums of the whole plan: positive semidefinite whatever is left out of P.
class SchurComplement {
 public:
  /// `memory_share`: how much of the memory that a solver may take is for this one.
  SchurComplement(const Problem& problem, RowPasses& passes, PlanMemory& memory, double memory_share = 1);

  /// Takes the plan of a point without entries below threshold * min(r_i, 1 / m), or with them where that is cheaper:
  /// a full plan is stored as floats, if memory allows, or computed anew for every product. Refers to f and g.
  void build(double reg, const Iterate& at, double threshold);

  /// Takes a plan as fit_rows() has stored it in rows(); build() then does nothing but scale it, as long as `reg` and
  /// the order of magnitude of the plan stay the same.
  void keep(double reg, const Iterate& at);

  /// Memory for a plan of floats; null where there is too little.
  [[nodiscard]] float* rows();

  /// Of the plan in rows(): column sums c of the plan diag(a u) rows diag(v) whose rows are exact, and u.
  void scale_rows(std::span<const double> v, std::span<double> u, std::span<double> c);

  /// Solves S d = residual to `tol` of its sum of magnitudes, or exactly; returns the number of iterations, 0 for a
  /// factorisation.
  Index solve(double lambda, std::span<const double> residual, double tol, std::span<double> d);

  /// For products alone: the diagonal that multiply() and jacobi() have.
  void set_diagonal(double lambda);

  /// y <- S x.
  void multiply(std::span<const double> x, std::span<double> y);

  /// One over the diagonal of S, of diag(c + lambda targets) where P is full.
  [[nodiscard]] std::span<const double> jacobi() const { return jacobi_.span(); }

  [[nodiscard]] Index nnz() const { return nnz_; }
  [[nodiscard]] bool is_kept() const { return is_kept_; }
  [[nodiscard]] bool is_stored() const { return form_ == Form::stored; }

  /// From now on, plans are double, however full.
  void refuse_floats() { takes_floats_ = is_kept_ = false; }

 private:
  enum class Form { sparse, stored, computed };

  [[nodiscard]] Index count_kept(double threshold);
  void collect();

  Problem problem_;
  RowPasses& passes_;
  PlanMemory& memory_;
  double memory_share_;
  Form form_ = Form::sparse;
  double reg_ = 0;
  std::span<const double> f_, g_, r_;
  Index nnz_ = 0;
  Array<double> col_sums_, targets_, diagonal_, jacobi_;
  Array<double> row_weights_;  // share / r
  Array<double> row_threshold_;
  BipartiteLaplacian sparse_;
  // stored: P = diag(kept_r u) rows diag(v)
  bool takes_floats_ = true;
  bool is_kept_ = false;
  Array<double> kept_f_, kept_g_, kept_r_, u_, v_;
  Array<double> scaled_;
  ConjugateGradientsMemory vectors_;
};

}  // namespace nearlinear::ot

/// The semi-dual's Hessian, with small entries of the plan left out, and systems with it.
#pragma once

#include "nearlinear/core/array.hpp"
#include "ot/row_passes.hpp"

namespace nearlinear::ot {

/// S = diag(c + lambda b) - P^T diag(1/a) P, with c the column sums of the whole plan: positive semidefinite whatever
/// is left out of P.
class SchurComplement {
 public:
  SchurComplement(const Problem& problem, RowPasses& passes);

  /// Takes the plan of f and g, whose rows are exact, without entries below threshold * min(a_i, 1 / m), or with them
  /// where that is cheaper: a full plan is stored as floats, if memory allows, or computed anew for every product.
  void build(double reg, std::span<const double> f, std::span<const double> g, std::span<const double> c,
             double threshold);

  /// Takes a plan as make_rows_exact() has stored it in rows(); build() then does nothing but scale it, as long as
  /// `reg` and the order of magnitude of the plan stay the same.
  void keep(double reg, std::span<const double> f, std::span<const double> g);

  /// Memory for a plan of floats; null where there is too little.
  [[nodiscard]] float* rows();

  /// Of the plan in rows(): column sums c of the plan diag(a u) rows diag(v) whose rows are exact, and u.
  void scale_rows(std::span<const double> v, std::span<double> u, std::span<double> c);

  /// Solves S d = r to a residual of `tol` |r|_1, or exactly; returns the number of iterations, 0 for a factorisation.
  Index solve(double lambda, std::span<const double> r, double tol, std::span<double> d);

  [[nodiscard]] Index nnz() const { return nnz_; }

 private:
  enum class Form { sparse, stored, computed };

  [[nodiscard]] Index count_kept(double threshold);
  void collect();
  void transpose();
  /// Of P^T P, at most.
  [[nodiscard]] double entries_per_column() const;
  void multiply(std::span<const double> x, std::span<double> y);
  Index solve_by_conjugate_gradients(std::span<const double> r, double tol, Index most_iterations, std::span<double> d);

  Problem problem_;
  RowPasses& passes_;
  Form form_ = Form::sparse;
  double reg_ = 0;
  std::span<const double> f_, g_;
  Index nnz_ = 0;
  Array<double> col_sums_, diagonal_, jacobi_, inverse_a_;
  Array<double> row_threshold_;
  // sparse, by rows and by columns
  Array<Index> indptr_, col_indptr_;
  Array<std::int32_t> indices_, row_indices_;
  Array<double> values_, col_values_;
  // stored
  Array<float> rows_;
  bool is_kept_ = false;
  Array<double> kept_f_, kept_g_, u_, v_;
  Array<double> row_values_, scaled_;
  Array<double> residual_, z_, p_, q_;
};

}  // namespace nearlinear::ot

/// Sparse matrices of Newton steps: diag(d) - P^T diag(w) P, the Laplacian of a bipartite graph without its rows.
#pragma once

#include "ot/conjugate_gradients.hpp"
#include "ot/row_passes.hpp"

namespace nearlinear::ot {

class BipartiteLaplacian {
 public:
  BipartiteLaplacian(const Problem& problem, RowPasses& passes, PlanMemory& memory);

  /// P by rows, for the owner to fill: first indptr, then, where room has been made for them, its entries.
  [[nodiscard]] std::span<Index> indptr() { return indptr_.span(); }
  void make_room();
  [[nodiscard]] std::span<std::int32_t> indices() { return memory_.indices.span(); }
  [[nodiscard]] std::span<double> values() { return memory_.values.span(); }
  [[nodiscard]] Index nnz() const { return indptr_[problem_.rows()]; }

  /// Of P^T P, at most.
  [[nodiscard]] double entries_per_column() const;

  /// Stores P by columns as well, which multiply() needs.
  void transpose();

  /// y <- P^T (w * (P x)).
  void multiply(std::span<const double> w, std::span<const double> x, std::span<double> y);

  /// diagonal <- diagonal - diag(P^T diag(w) P).
  void subtract_diagonal(std::span<const double> w, std::span<double> diagonal) const;

  /// Solves (diag(d) - P^T diag(w) P) x = r by LDL^T; whether that succeeded.
  [[nodiscard]] bool factor(std::span<const double> w, std::span<const double> d, bool grounded,
                            std::span<const double> r, std::span<double> x) const;

 private:
  Problem problem_;
  RowPasses& passes_;
  PlanMemory& memory_;
  Array<Index> indptr_, col_indptr_;
  Array<double> row_values_;
};

}  // namespace nearlinear::ot

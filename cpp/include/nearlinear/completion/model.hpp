/// Matrices of low rank, with biases, and what is predicted from them.
#pragma once

#include <cstdint>

#include "nearlinear/core.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// A matrix of low rank, with biases.
///
///     X_ij ~ mu + b_i + c_j + sum_r U_ir V_jr
///
/// U and V have the same columns, U^T U = V^T V = diag(s), but for non-negative ones: U diag(s)^{-1/2} and
/// V diag(s)^{-1/2} are the singular vectors of U V^T. Biases are empty where the model has none.
struct LowRankModel {
  Index rows = 0;
  Index cols = 0;
  Index rank = 0;
  Array<double> left = {};             ///< U, rows x rank, stored by rows
  Array<double> right = {};            ///< V, cols x rank, stored by rows
  Array<double> singular_values = {};  ///< s, those of U V^T, descending
  double mu = 0;
  Array<double> row_bias = {};  ///< b, `rows` of them
  Array<double> col_bias = {};  ///< c, `cols` of them

  [[nodiscard]] MatrixView<double> U() const { return {left.data(), rows, rank}; }
  [[nodiscard]] MatrixView<double> V() const { return {right.data(), cols, rank}; }
  [[nodiscard]] bool has_biases() const { return row_bias.size() == rows && rows > 0; }
};

/// values_e <- the model's entry in row rows_e and column cols_e.
///
/// - Cost: 2 rank operations and two gathered rows for each.
/// - Throws std::invalid_argument when lengths differ or a row or column is outside of the model, std::bad_alloc, and
///   `interrupted` when run.keep_going answers false.
void predict(const LowRankModel& model, std::span<const std::int64_t> rows, std::span<const std::int64_t> cols,
             std::span<double> values, const RunOptions& run = {});

/// The columns in which the model's row is largest.
///
/// - cols has as many entries as columns are wanted; values are the model's entries there, descending. Among equal ones
///   the lower column comes first. Columns of `seen` are left out.
/// - Cost: 2 cols rank operations.
/// - Throws std::invalid_argument when the row or a column of `seen` is outside of the model, lengths differ or fewer
///   columns are left than are wanted, and std::bad_alloc.
void recommend(const LowRankModel& model, Index row, std::span<const std::int64_t> seen, std::span<Index> cols,
               std::span<double> values, const RunOptions& run = {});

/// Which side of a model new lines belong to.
enum class FoldAxis {
  rows,  ///< new rows, of model.cols entries each
  cols,  ///< new columns, of model.rows entries each
};

/// What fold_in() needs to know of how the model was fitted.
struct FoldInOptions {
  FoldAxis axis = FoldAxis::rows;
  double lam = 0;            ///< lambda >= 0
  bool nonnegative = false;  ///< u >= 0
  bool implicit = false;     ///< as CompletionOptions say it
};

/// New rows of a model, or new columns, by the least squares problem that complete() solves for each of its own.
///
///     min_{u, b} sum over observed j of w_j (x_j - mu - b - c_j - u^T v_j)^2 + lambda (|u|^2 + b^2)
///
/// - X has a row for every new one and model.cols columns; for axis `cols`, a row for every new column and model.rows
///   columns. What is stored is what was observed, explicit zeros included; no place twice. `weights` w_j >= 0 has one
///   number for every entry of X, or is empty.
/// - factors is X.rows x rank, biases has X.rows entries or, for a model without biases, none.
/// - With lambda = 0 and fewer entries than unknowns, or dependent ones, the least squares problem has many solutions,
///   and the one of least norm comes out, by a ridge of 1e-10 times the largest diagonal entry of the normal matrix.
///   A line without entries is 0.
/// - Cost: O(nnz rank^2 + X.rows rank^3) operations.
/// - Throws std::invalid_argument when shapes do not match, an entry is stored twice, a value or weight is not finite
///   or a weight is negative, std::bad_alloc, and `interrupted` when run.keep_going answers false.
template <class I>  // std::int32_t, std::int64_t
void fold_in(const LowRankModel& model, const CsrView<double, I>& X, std::span<const double> weights,
             MatrixView<double> factors, std::span<double> biases, const FoldInOptions& options = {},
             const RunOptions& run = {});

}  // namespace nearlinear

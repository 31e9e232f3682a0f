/// The Cholesky factor of S = shift I + K for a Gram matrix K, and its changes when a gradient comes or goes.
///
/// Every pivot of S is at least `shift`, because K is positive semidefinite: where rounding says less, `shift` is
/// taken. So no factorisation fails, whatever the damping: the change is no larger than the rounding of K.
#pragma once

#include <span>

#include "nearlinear/core.hpp"

namespace nearlinear::fisher {

/// L of S in the lower triangle of L; K is taken by its lower triangle.
void factor_shifted(MatrixView<const double> K, double shift, MatrixView<double> L, const RunOptions& run);

/// Given the factor of the first n - 1 rows, the last row of the n x n matrix L, from that of S.
void append_row(MatrixView<double> L, std::span<const double> row_of_s, double shift);

/// Takes row and column `row` out of S: the factor of what stays comes to stand in the first n - 1 rows of L.
///
/// The columns before `row` stay; the trailing factor gets a rank-one update by the column that goes, L22 L22^T + l
/// l^T, which adds a positive matrix: no subtraction, however often a window slides.
void remove_row(MatrixView<double> L, Index row);

/// B <- S^{-1} B.
void solve_shifted(MatrixView<const double> L, MatrixView<double> B, int n_threads);

/// log det S.
[[nodiscard]] double log_determinant(MatrixView<const double> L);

}  // namespace nearlinear::fisher

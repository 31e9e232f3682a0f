#include "fisher/shifted_factor.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/cholesky_kernels.hpp"
#include "nearlinear/core/array.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear::fisher {

void factor_shifted(MatrixView<const double> K, double shift, MatrixView<double> L, const RunOptions& run) {
  const Index n = K.rows();
  const auto row_of_s = [&](Index i, double* row) {
    std::copy_n(&K(i, 0), i + 1, row);
    row[i] += shift;
  };
  for (Index i = 0; i < n; ++i) row_of_s(i, &L(i, 0));
  if (cholesky(L, run) == 0) return;
  const Array<double> row(n);
  for (Index i = 0; i < n; ++i) {
    row_of_s(i, row.data());
    append_row(linalg::block(L, 0, 0, i + 1, i + 1), {row.data(), static_cast<std::size_t>(i + 1)}, shift);
  }
}

void append_row(MatrixView<double> L, std::span<const double> row_of_s, double shift) {
  const Index last = L.rows() - 1;
  const auto& kernels = linalg::cholesky_kernels_for<double>();
  double* const y = &L(last, 0);
  std::copy_n(row_of_s.data(), last + 1, y);
  kernels.forward_substitute(0, last, L.data(), L.row_stride(), y);
  y[last] = std::sqrt(std::max(y[last] - kernels.square_sum(last, y), shift));
}

void remove_row(MatrixView<double> L, Index row) {
  const Index n = L.rows(), below = n - 1 - row;
  if (below == 0) return;
  const Array<double> column(below);
  for (Index i = 0; i < below; ++i) {
    const double* const old = &L(row + 1 + i, 0);
    double* const moved = &L(row + i, 0);
    column[i] = old[row];
    std::copy_n(old, row, moved);
    std::copy_n(old + row + 1, i + 1, moved + row);
  }
  // Its pivots only grow, so that they are positive as those of a factor are.
  [[maybe_unused]] const Index status =
      cholesky_update<double>(linalg::block(L, row, row, below, below), column.span(), RunOptions{});
}

void solve_shifted(MatrixView<const double> L, MatrixView<double> B, int n_threads) {
  if (L.rows() > 0 && B.cols() > 0) cholesky_solve<double>(L, B, {.n_threads = n_threads});
}

double log_determinant(MatrixView<const double> L) {
  double sum = 0;
  for (Index i = 0; i < L.rows(); ++i) sum += 2 * std::log(L(i, i));
  return sum;
}

}  // namespace nearlinear::fisher

// CholeskyQR2 where the matrix is well enough conditioned for it (Yamamoto, Nakatsukasa, Yanagisawa and Fukaya,
// "Roundoff error analysis of the CholeskyQR2 algorithm", Electronic Transactions on Numerical Analysis 44, 2015),
// otherwise Householder reflections of blocks of rows, whose factors R are stacked and decomposed again (Demmel,
// Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU factorizations", SIAM Journal
// on Scientific Computing 34, 2012).
#include "linalg/orthonormalise.hpp"

#include <algorithm>
#include <cmath>

#include "core/threads.hpp"
#include "linalg/progress.hpp"
#include "linalg/scaling.hpp"
#include "linalg/spectral_kernels.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear::linalg {
namespace {

/// W <- Q and R <- R' for W = Q R'; `square` is n x n working memory.
bool cholesky_step(MatrixView<double> W, MatrixView<double> square, Progress& progress, double begin, double end) {
  const double middle = (begin + end) / 2;
  if (cholesky(square, progress.part(middle, middle)) != 0) return false;
  triangular_solve_right<double>(Triangle::lower, Transpose::yes, square, W, progress.part(middle, end));
  return true;
}

/// W <- Q by two rounds of Cholesky factorisation, and R; false where W is too ill conditioned for it, with W then
/// unspecified.
bool cholesky_qr2(MatrixView<double> W, MatrixView<double> R, Progress& progress) {
  const Index n = W.cols();
  const Array<double> first(n * n), second(n * n);
  const MatrixView<double> L1(first.data(), n, n), L2(second.data(), n, n);
  gram<double, double>(W, L1, progress.part(0.1, 0.2));
  if (!cholesky_step(W, L1, progress, 0.2, 0.4)) return false;
  gram<double, double>(W, L2, progress.part(0.4, 0.55));
  // What is left to do in the second round: with |W^T W - I| <= 1/2, its condition is at most sqrt(3), and Q comes out
  // orthonormal to the last few bits. False for NaN.
  double distance = 0;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) distance += std::pow(L2(i, j) - (i == j ? 1 : 0), 2);
  if (!(distance <= 0.25)) return false;
  if (!cholesky_step(W, L2, progress, 0.55, 0.8)) return false;
  for (Index i = 0; i < n; ++i)
    for (Index j = i + 1; j < n; ++j) L1(i, j) = L2(i, j) = 0;
  gemm<double>(1, L2, Transpose::yes, L1, Transpose::yes, 0, R, progress.part(0.8, 0.85));
  return true;
}

/// W <- Q and R, whatever the condition. R has no gaps between its rows.
void householder(MatrixView<double> W, MatrixView<double> R, Progress& progress, double begin, double end) {
  const Index m = W.rows(), n = W.cols();
  const Index blocks = std::max<Index>(1, m / std::max<Index>(4 * n, 2048));
  const auto kernel = kernels().spectral->householder_qr;
  const auto start = [&](Index b) { return b * m / blocks; };
  const auto threads = [&](const RunOptions& run) {
    constexpr Index operations_per_nanosecond = 8;
    return thread_count(run.n_threads, checked_product(checked_product(4 * m, n), n) / operations_per_nanosecond);
  };
  if (blocks == 1) {
    (void)progress.part(begin, end);
    return kernel(m, n, W.data(), W.row_stride(), R.data());
  }
  const double after_blocks = begin + 0.6 * (end - begin), after_stack = begin + 0.75 * (end - begin);
  const Array<double> stack(checked_product(blocks, n * n));
  const MatrixView<double> stacked(stack.data(), blocks * n, n);
  {
    const RunOptions run = progress.part(begin, after_blocks);
    Monitor monitor(run.keep_going);
    parallel_for(blocks, threads(run), monitor, [&](Index b) {
      kernel(start(b + 1) - start(b), n, &W(start(b), 0), W.row_stride(), stack.data() + b * n * n);
    });
  }
  householder(stacked, R, progress, after_blocks, after_stack);
  const RunOptions run = progress.part(after_stack, end);
  Monitor monitor(run.keep_going);
  parallel_for(blocks, threads(run), monitor, [&](Index b) {
    const Index rows = start(b + 1) - start(b);
    const Array<double> local(rows * n);
    const MatrixView<double> Q(local.data(), rows, n);
    for (Index i = 0; i < rows; ++i) {
      std::copy_n(&W(start(b) + i, 0), n, &Q(i, 0));
      std::fill_n(&W(start(b) + i, 0), n, 0.0);
    }
    gemm_kernel<double>()(rows, n, n, 1, {Q.data(), n, 1}, {stack.data() + b * n * n, n, 1}, &W(start(b), 0),
                          W.row_stride());
  });
}

}  // namespace

template <class T>
void orthonormalise(MatrixView<T> Y, MatrixView<double> R, const RunOptions& run) {
  const Index m = Y.rows(), n = Y.cols();
  if (n == 0) return;
  Progress progress(run);
  const int exponent = scale_of(Y, progress.part(0, 0.05)).exponent;
  const Array<double> work(checked_product(m, n)), factor(checked_product(n, n));
  const MatrixView<double> W(work.data(), m, n), F(factor.data(), n, n);
  copy_scaled(Y, -exponent, W, progress.part(0.05, 0.1));
  if (!cholesky_qr2(W, F, progress)) {
    copy_scaled(Y, -exponent, W, progress.part(0.55, 0.6));
    householder(W, F, progress, 0.6, 0.9);
  }
  copy_scaled(W, 0, Y, progress.part(0.9, 1));
  copy_scaled(F, exponent, R, progress.part(1, 1));
}

template void orthonormalise(MatrixView<float>, MatrixView<double>, const RunOptions&);
template void orthonormalise(MatrixView<double>, MatrixView<double>, const RunOptions&);

}  // namespace nearlinear::linalg

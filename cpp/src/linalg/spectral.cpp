// Decompositions of moderate size: checked, scaled and, where the matrix is tall or wide, reduced to a square one.
#include "nearlinear/linalg/spectral.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/decomposition_kernels.hpp"
#include "linalg/row_blocks.hpp"
#include "linalg/scaling.hpp"
#include "linalg/signs.hpp"
#include "linalg/small_svd.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/qr.hpp"

namespace nearlinear {
namespace linalg {
namespace {

/// to <- from or its transpose, by tiles, so that neither is read or written across its rows.
template <class From, class To>
void copy(MatrixView<From> from, bool transpose, MatrixView<To> to, const RunOptions& run) {
  constexpr Index side = 32;
  RowBlocks{to.rows(), to.cols()}.run(run, 1, [&](Index, Index begin, Index end) {
    for (Index row = begin; row < end; row += side)
      for (Index col = 0; col < to.cols(); col += side)
        for (Index i = row; i < std::min(end, row + side); ++i)
          for (Index j = col; j < std::min(to.cols(), col + side); ++j)
            to(i, j) = static_cast<To>(transpose ? from(j, i) : from(i, j));
  });
}

/// A = U diag(s) V^T for an A that is not wider than tall, in double. U replaces A; V is n x n, stored by columns.
/// Where vectors are not wanted, V is null and A unspecified.
bool tall_svd(MatrixView<double> A, double* s, double* V, SvdMethod method, Progress& progress) {
  const Index m = A.rows(), n = A.cols();
  const bool wants_vectors = V != nullptr;
  // A = Q R; stored by rows, R is R^T by columns: R^T = X diag(s) Y^T gives A = (Q Y) diag(s) X^T.
  const Array<double> factor(n * n), Y(wants_vectors ? n * n : 0), basis(wants_vectors ? m * n : 0);
  const MatrixView<double> R(factor.data(), n, n), Q(basis.data(), m, n);
  if (wants_vectors)
    qr_thin<double>(A, Q, R, QrMethod::automatic, progress.part(0.1, 0.4));
  else
    qr<double>(A, R, QrMethod::automatic, progress.part(0.1, 0.4));
  if (!small_svd(n, factor.data(), V, s, wants_vectors ? Y.data() : nullptr, method, progress, 0.4, 0.7)) return false;
  if (wants_vectors) gemm<double>(1, Q, Transpose::no, {Y.data(), n, n}, Transpose::yes, 0, A, progress.part(0.7, 0.9));
  return true;
}

}  // namespace
}  // namespace linalg

template <class T>
bool symmetric_eigen(MatrixView<const T> A, std::span<T> values, MatrixView<T> V, const RunOptions& run) {
  require_valid_view(A, "symmetric_eigen", "A");
  require_valid_view(V, "symmetric_eigen", "V");
  const Index n = A.rows();
  require(A.cols() == n, "symmetric_eigen: A is ", shape(A), "; it must be square");
  require(std::ssize(values) == n, "symmetric_eigen: A is ", shape(A), " and values has ", std::ssize(values),
          " entries; it must have one for every row of A");
  const bool wants_vectors = V.cols() > 0;
  require(!wants_vectors || (V.rows() == n && V.cols() == n), "symmetric_eigen: A is ", shape(A), " and V is ",
          shape(V), "; V must have the same shape, or no columns");
  linalg::Progress progress(run);
  if (n == 0) return true;

  const Array<double> work(checked_product(n, n)), wide(n);
  const MatrixView<double> W(work.data(), n, n);  // both triangles: by columns it is its own transpose
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j) W(j, i) = W(i, j) = static_cast<double>(A(i, j));
  const linalg::Scale scale = linalg::scale_of(W, progress.part(0, 0.05));
  if (!scale.is_finite) linalg::refuse_non_finite(W, "symmetric_eigen", "A");
  linalg::copy_scaled(W, -scale.exponent, W, progress.part(0.05, 0.1));
  (void)progress.part(0.1, 0.9);
  if (!linalg::nearlinear_decompositions_base.symmetric_eigen(n, work.data(), wide.data(), wants_vectors)) return false;
  std::transform(wide.begin(), wide.end(), values.begin(),
                 [&](double value) { return static_cast<T>(std::ldexp(value, scale.exponent)); });
  if (!wants_vectors) return true;
  linalg::copy(W, true, V, progress.part(0.9, 0.95));
  linalg::fix_signs(V, MatrixView<T>(nullptr, 0, n), progress.part(0.95, 1));
  return true;
}

template <class T>
bool svd(MatrixView<const T> A, MatrixView<T> U, std::span<T> s, MatrixView<T> V, SvdMethod method,
         const RunOptions& run) {
  require_valid_view(A, "svd", "A");
  require_valid_view(U, "svd", "U");
  require_valid_view(V, "svd", "V");
  const Index m = A.rows(), n = A.cols(), k = std::min(m, n);
  const bool wants_vectors = U.cols() > 0 || V.cols() > 0;
  require(std::ssize(s) == k, "svd: A is ", shape(A), " and s has ", std::ssize(s), " entries; it must have ", k);
  require(!wants_vectors || (U.rows() == m && U.cols() == k && V.rows() == n && V.cols() == k), "svd: A is ", shape(A),
          ", U is ", shape(U), " and V is ", shape(V), "; they must be ", Shape{m, k}, " and ", Shape{n, k},
          ", or have no columns");
  linalg::Progress progress(run);
  const linalg::Scale scale = linalg::scale_of(A, progress.part(0, 0.02));
  if (!scale.is_finite) linalg::refuse_non_finite(A, "svd", "A");
  if (k == 0) return true;

  const bool is_wide = n > m;
  const Index tall = std::max(m, n);
  const Array<double> work(checked_product(tall, k)), values(k), right(wants_vectors ? checked_product(k, k) : 0);
  const MatrixView<double> W(work.data(), tall, k);
  linalg::copy(A, is_wide, W, progress.part(0.02, 0.06));
  linalg::copy_scaled(W, -scale.exponent, W, progress.part(0.06, 0.1));
  if (!linalg::tall_svd(W, values.data(), wants_vectors ? right.data() : nullptr, method, progress)) return false;
  std::transform(values.begin(), values.end(), s.begin(),
                 [&](double value) { return static_cast<T>(std::ldexp(value, scale.exponent)); });
  if (!wants_vectors) return true;
  const MatrixView<double> V_by_columns(right.data(), k, k);
  linalg::copy(W, false, is_wide ? V : U, progress.part(0.9, 0.93));
  linalg::copy(V_by_columns, true, is_wide ? U : V, progress.part(0.93, 0.96));
  linalg::fix_signs(U, V, progress.part(0.96, 1));
  return true;
}

#define NEARLINEAR_INSTANTIATE(T)                                                                        \
  template bool symmetric_eigen<T>(MatrixView<const T>, std::span<T>, MatrixView<T>, const RunOptions&); \
  template bool svd<T>(MatrixView<const T>, MatrixView<T>, std::span<T>, MatrixView<T>, SvdMethod, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

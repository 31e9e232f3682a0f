// Compiled once per instruction set; see core/dispatch.hpp for the rules. Eigen's blocked product is level with
// OpenBLAS on one thread; threads come from the tiles that it is called on (products.cpp).
#include "linalg/product_kernels.hpp"

#include <Eigen/Core>

namespace {

using nearlinear::Index;
using nearlinear::linalg::Operand;

template <class T, int order>
auto map(const Operand<T>& matrix, Index rows, Index cols) {
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, order>;
  const Index stride = order == Eigen::RowMajor ? matrix.row_stride : matrix.col_stride;
  return Eigen::Map<const Plain, Eigen::Unaligned, Eigen::OuterStride<>>(matrix.data, rows, cols,
                                                                         Eigen::OuterStride<>(stride));
}

template <class T, int a_order, int b_order>
void multiply(Index m, Index n, Index k, T alpha, const Operand<T>& a, const Operand<T>& b, T* c, Index c_row_stride) {
  using Plain = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<Plain, Eigen::Unaligned, Eigen::OuterStride<>> sum(c, m, n, Eigen::OuterStride<>(c_row_stride));
  sum.noalias() += alpha * (map<T, a_order>(a, m, k) * map<T, b_order>(b, k, n));
}

template <class T>
void gemm(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T* c, Index c_row_stride) {
  constexpr int row = Eigen::RowMajor;
  constexpr int col = Eigen::ColMajor;
  const bool a_by_rows = a.col_stride == 1;
  const bool b_by_rows = b.col_stride == 1;
  if (a_by_rows && b_by_rows) return multiply<T, row, row>(m, n, k, alpha, a, b, c, c_row_stride);
  if (a_by_rows) return multiply<T, row, col>(m, n, k, alpha, a, b, c, c_row_stride);
  if (b_by_rows) return multiply<T, col, row>(m, n, k, alpha, a, b, c, c_row_stride);
  multiply<T, col, col>(m, n, k, alpha, a, b, c, c_row_stride);
}

template <class T>
void syrk(Index n, Index d, const T* a, Index a_row_stride, T* c) {
  using Square = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
  Eigen::Map<Square> sum(c, d, d);
  const auto rows = map<T, Eigen::RowMajor>({a, a_row_stride, 1}, n, d);
  sum.template selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
}

/// Four rows at a time: their products with x, then their share of z, while they are in the nearest cache.
template <class T>
void gemv_pair(Index n, Index d, const T* a, Index a_row_stride, const T* x, T* y, const T* w, T* z) noexcept {
  using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
  const auto vector = [d](const T* data) { return Eigen::Map<const Vector>(data, d); };
  Index i = 0;
  for (; i + 4 <= n; i += 4) {
    const T* const row = a + i * a_row_stride;
    const auto a0 = vector(row), a1 = vector(row + a_row_stride), a2 = vector(row + 2 * a_row_stride),
               a3 = vector(row + 3 * a_row_stride);
    if (x != nullptr) {
      y[i] = a0.dot(vector(x));
      y[i + 1] = a1.dot(vector(x));
      y[i + 2] = a2.dot(vector(x));
      y[i + 3] = a3.dot(vector(x));
    }
    if (w != nullptr) Eigen::Map<Vector>(z, d) += w[i] * a0 + w[i + 1] * a1 + w[i + 2] * a2 + w[i + 3] * a3;
  }
  for (; i < n; ++i) {
    const auto row = vector(a + i * a_row_stride);
    if (x != nullptr) y[i] = row.dot(vector(x));
    if (w != nullptr) Eigen::Map<Vector>(z, d) += w[i] * row;
  }
}

}  // namespace

const nearlinear::linalg::ProductKernels nearlinear::linalg::product_kernels = {
    .gemm_f32 = gemm<float>,
    .gemm_f64 = gemm<double>,
    .syrk_f32 = syrk<float>,
    .syrk_f64 = syrk<double>,
    .gemv_pair_f32 = gemv_pair<float>,
    .gemv_pair_f64 = gemv_pair<double>,
};

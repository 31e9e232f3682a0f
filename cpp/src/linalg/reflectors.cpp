#include "linalg/reflectors.hpp"

#include <algorithm>

#include "linalg/qr_kernels.hpp"
#include "linalg/tables.hpp"

namespace nearlinear::linalg {
namespace {

constexpr Index narrowest = 8;        // columns that are reflected one by one
constexpr Index rows_at_once = 8192;  // of a product, between two pauses

/// T of the reflections whose scalars stand on its diagonal:  T_jj = tau_j,  T_{<j,j} = -tau_j T_{<j,<j} (V^T v_j).
template <class T>
void complete(const Reflectors<T>& h) {
  const Index w = h.width;
  const auto gram = Array<T>::zeros(w * w);
  qr_kernels_for<T>().multiply_transposed(h.rows, w, w, h.v.data, h.v.stride, h.v.data, h.v.stride, gram.data(), w);
  for (Index j = 0; j < w; ++j)
    for (Index i = 0; i < j; ++i) {
      T sum{0};
      for (Index k = i; k < j; ++k) sum += h.t(i, k) * gram[k * w + j];
      h.t(i, j) = -h.t(j, j) * sum;
    }
}

/// T of two sets of reflections, one after the other:  T_12 = -T_11 (V_1^T V_2) T_22.
template <class T>
void join(const Reflectors<T>& h, Index w1) {
  const auto gemm = gemm_kernel<T>();
  const Index w2 = h.width - w1;
  const auto gram = Array<T>::zeros(w1 * w2);
  const auto right = Array<T>::zeros(w1 * w2);
  qr_kernels_for<T>().multiply_transposed(h.rows, w1, w2, h.v.data, h.v.stride, &h.v(0, w1), h.v.stride, gram.data(),
                                          w2);
  gemm(w1, w2, w2, T{1}, {gram.data(), w2, 1}, h.t.at(w1, w1).operand(), right.data(), w2);
  // By columns, as the transpose by rows: T_12^T = -right^T T_11^T.
  gemm(w2, w1, w1, T{-1}, {right.data(), 1, w2}, h.t.transposed(), h.t.at(0, w1).data, h.t.stride);
}

}  // namespace

template <class T>
void factor(Columns<T> R, const Reflectors<T>& h, const Pause& pause) {
  const Index w = h.width;
  for (Index j = 0; j < w; ++j) std::fill_n(&h.t(0, j), w, T{0});
  if (w <= narrowest) {
    for (Index j = 0; j < w; ++j) {
      h.t(j, j) = qr_kernels_for<T>().reflect(h.rows, w - j - 1, &R(j, j), R.stride, &h.v(0, j), h.v.stride);
      pause();
    }
    return complete(h);
  }
  const Index w1 = std::max(narrowest, w / 2 / narrowest * narrowest), w2 = w - w1;
  const Reflectors<T> left{h.rows, w1, h.v, h.t}, right{h.rows, w2, h.v.at(0, w1), h.t.at(w1, w1)};
  factor(R, left, pause);
  apply(left, true, w2, R.at(0, w1), right.v, pause);
  factor(R.at(w1, w1), right, pause);
  join(h, w1);
}

template <class T>
void apply(const Reflectors<T>& h, bool transposed, Index cols, Columns<T> C_top, Columns<T> C, const Pause& pause) {
  const auto& kernels = qr_kernels_for<T>();
  const Index w = h.width;
  // By rows: S = C_top + V^T C, then -T S or, transposed, -T^T S.
  const Array<T> sum(w * cols);
  const auto product = Array<T>::zeros(w * cols);
  for (Index i = 0; i < w; ++i)
    for (Index j = 0; j < cols; ++j) sum[i * cols + j] = C_top(i, j);
  for (Index row = 0; row < h.rows; row += rows_at_once, pause())
    kernels.multiply_transposed(std::min(rows_at_once, h.rows - row), w, cols, &h.v(row, 0), h.v.stride, &C(row, 0),
                                C.stride, sum.data(), cols);
  gemm_kernel<T>()(w, cols, w, T{-1}, transposed ? h.t.transposed() : h.t.operand(), {sum.data(), cols, 1},
                   product.data(), cols);
  for (Index i = 0; i < w; ++i)
    for (Index j = 0; j < cols; ++j) C_top(i, j) += product[i * cols + j];
  for (Index row = 0; row < h.rows; row += rows_at_once, pause())
    kernels.add_product(std::min(rows_at_once, h.rows - row), w, cols, &h.v(row, 0), h.v.stride, product.data(), cols,
                        &C(row, 0), C.stride);
}

#define NEARLINEAR_INSTANTIATE(T)                                       \
  template void factor(Columns<T>, const Reflectors<T>&, const Pause&); \
  template void apply(const Reflectors<T>&, bool, Index, Columns<T>, Columns<T>, const Pause&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::linalg

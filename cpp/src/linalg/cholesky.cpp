// Cholesky factorisation, halved until a tile fits the cache:
//
//     [ A11      ]        A11 = L11 L11^T,
//     [ A21  A22 ]   =>   L21 = A21 L11^{-T},
//                         A22 - L21 L21^T = L22 L22^T.
//
// Compared with block columns of one width, halving makes most products thick, so that they read and write A22 seldom,
// and few, so that threads meet seldom (n = 2000: at seven places).
#include "nearlinear/linalg/cholesky.hpp"

#include <algorithm>
#include <functional>
#include <type_traits>
#include <utility>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/tables.hpp"

namespace nearlinear {
namespace linalg {
namespace {

double cube(Index n) { return static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n); }

/// body(0), ..., body(rows - 1), each of which takes `operations` operations and is too short to be a step's body
/// alone.
void for_rows(Index rows, double operations, Steps& steps, const std::function<void(Index)>& body) {
  constexpr Index together = 64;
  steps.run(ceil_divide(rows, together), operations * static_cast<double>(rows), [&](Index b) {
    for (Index i = b * together; i < std::min(rows, (b + 1) * together); ++i) body(i);
  });
}

/// Parts (i, j), i >= j, of a lower triangle: those below the diagonal first, which take twice as long.
class LowerParts {
 public:
  explicit LowerParts(Index side) : below_(side * (side - 1) / 2), count_(below_ + side) {}

  [[nodiscard]] Index count() const { return count_; }
  [[nodiscard]] std::pair<Index, Index> operator[](Index part) const {
    if (part >= below_) return {part - below_, part - below_};
    Index i = 1;
    while ((i + 1) * i / 2 <= part) ++i;
    return {i, part - i * (i - 1) / 2};
  }

 private:
  Index below_;
  Index count_;
};

/// C <- C - A A^T in the lower triangle of C.
template <class T>
void subtract_gram(MatrixView<const T> A, MatrixView<T> C, Steps& steps) {
  const auto gemm = gemm_kernel<T>();
  const auto syrk = syrk_kernel<T>();
  const Cut cut = cut_for_threads(C.rows(), steps.threads());
  const LowerParts parts(cut.count);
  for (Index begin = 0; begin < A.cols(); begin += step_depth) {
    const Index k = std::min(step_depth, A.cols() - begin);
    const double operations = static_cast<double>(C.rows()) * static_cast<double>(C.rows()) * static_cast<double>(k);
    steps.run(parts.count(), operations, [&](Index part) {
      const auto [i, j] = parts[part];
      const MatrixView<T> c = block(C, cut.begin(i), cut.begin(j), cut.length(i), cut.length(j));
      const T* const a = &A(cut.begin(i), begin);
      if (i == j) return syrk(c.rows(), k, T{-1}, {a, A.row_stride(), 1}, c.data(), c.row_stride());
      gemm(c.rows(), c.cols(), k, T{-1}, {a, A.row_stride(), 1}, {&A(cut.begin(j), begin), 1, A.row_stride()}, c.data(),
           c.row_stride());
    });
  }
}

template <class T>
Index factor(MatrixView<T> A, T* scratch, Steps& steps) {
  const Index n = A.rows();
  if (n <= largest_tile) {
    Index status = 0;
    steps.run(1, cube(n) / 3,
              [&](Index) { status = cholesky_kernels_for<T>().factor_tile(n, A.data(), A.row_stride(), scratch); });
    return status;
  }
  const Index n1 = half(n), n2 = n - n1;
  const MatrixView<T> A11 = block(A, 0, 0, n1, n1), A21 = block(A, n1, 0, n2, n1), A22 = block(A, n1, n1, n2, n2);
  if (const Index status = factor(A11, scratch, steps); status != 0) return status;
  solve<T>({{A11.data(), 1, A11.row_stride()}, n1, false}, true, A21, steps);
  subtract_gram<T>(A21, A22, steps);
  const Index status = factor(A22, scratch, steps);
  return status == 0 ? 0 : n1 + status;
}

/// L <- L^{-1} in the lower triangle:  W21 = -L22^{-1} L21 L11^{-1}.
template <class T>
void invert_triangle(MatrixView<T> L, T* scratch, Steps& steps) {
  const Index n = L.rows();
  if (n <= largest_tile)
    return steps.run(1, cube(n) / 3,
                     [&](Index) { cholesky_kernels_for<T>().invert_tile(n, L.data(), L.row_stride(), scratch); });
  const Index n1 = half(n), n2 = n - n1;
  const MatrixView<T> L11 = block(L, 0, 0, n1, n1), L21 = block(L, n1, 0, n2, n1), L22 = block(L, n1, n1, n2, n2);
  solve<T>({{L22.data(), L.row_stride(), 1}, n2, true}, false, L21, steps);
  solve<T>({{L11.data(), L.row_stride(), 1}, n1, true}, true, L21, steps);
  for_rows(n2, static_cast<double>(n1), steps,
           [&](Index i) { std::transform(&L21(i, 0), &L21(i, 0) + n1, &L21(i, 0), [](T entry) { return -entry; }); });
  invert_triangle(L11, scratch, steps);
  invert_triangle(L22, scratch, steps);
}

/// A <- W^T W, both triangles, for a lower triangular W with zeros above the diagonal. Rows of W above a part of A are
/// zero there.
template <class T>
void gram_of_triangle(MatrixView<const T> W, MatrixView<T> A, Steps& steps) {
  const Index n = A.rows();
  const auto gemm = gemm_kernel<T>();
  const auto syrk = syrk_kernel<T>();
  const Cut cut{n, ceil_divide(n, 256)};  // smaller parts: more of them begin below rows that are zero
  const LowerParts parts(cut.count);
  for (Index depth = 0; depth < n; depth += step_depth) {
    const Index end = std::min(n, depth + step_depth);
    steps.run(parts.count(), (cube(end) - cube(depth)) / 3, [&](Index part) {
      const auto [i, j] = parts[part];
      const Index row = cut.begin(i), col = cut.begin(j), begin = std::max(depth, row);
      const MatrixView<T> a = block(A, row, col, cut.length(i), cut.length(j));
      if (depth == 0)
        for (Index r = 0; r < a.rows(); ++r) std::fill_n(&a(r, 0), a.cols(), T{0});
      if (begin >= end) return;
      const Operand<T> left{&W(begin, row), 1, W.row_stride()};
      if (i == j) return syrk(a.rows(), end - begin, T{1}, left, a.data(), a.row_stride());
      gemm(a.rows(), a.cols(), end - begin, T{1}, left, {&W(begin, col), W.row_stride(), 1}, a.data(), a.row_stride());
    });
  }
  steps.run(parts.count(), static_cast<double>(n) * static_cast<double>(n), [&](Index part) {
    const auto [i, j] = parts[part];
    for (Index row = cut.begin(i); row < cut.begin(i + 1); ++row)
      for (Index col = cut.begin(j); col < std::min(row, cut.begin(j + 1)); ++col) A(col, row) = A(row, col);
  });
}

template <class T>
void require_factor(MatrixView<T> L, const char* function) {
  require_valid_view(L, function, "L");
  require(L.rows() == L.cols(), function, ": L is ", shape(L), "; it must be square");
  for (Index i = 0; i < L.rows(); ++i)
    require(L(i, i) != T{0}, function, ": L(", i, ", ", i, ") is 0; L must be invertible");
}

}  // namespace
}  // namespace linalg

template <class T>
Index cholesky(MatrixView<T> A, const RunOptions& run) {
  require_valid_view(A, "cholesky", "A");
  require(A.rows() == A.cols(), "cholesky: A is ", shape(A), "; it must be square");
  linalg::Steps steps(run, linalg::cube(A.rows()) / 3);
  if (A.rows() == 0) return 0;
  const Index tile = std::min(A.rows(), linalg::largest_tile);
  const Array<T> scratch(tile * tile);
  return linalg::factor(A, scratch.data(), steps);
}

template <class T>
void cholesky_solve(MatrixView<const T> L, MatrixView<T> B, const RunOptions& run) {
  linalg::require_factor(L, "cholesky_solve");
  require_valid_view(B, "cholesky_solve", "B");
  const Index n = L.rows();
  require(B.rows() == n, "cholesky_solve: L is ", shape(L), " and B is ", shape(B), "; B must have as many rows");
  linalg::Steps steps(run, 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(B.cols()));
  if (n == 0 || B.cols() == 0) return;
  const linalg::Triangular<T> lower{{L.data(), L.row_stride(), 1}, n, true};
  solve(lower, false, B, steps);
  solve(lower.transposed(), false, B, steps);
}

template <class T>
void cholesky_inverse(MatrixView<T> L, const RunOptions& run) {
  linalg::require_factor(L, "cholesky_inverse");
  const Index n = L.rows();
  linalg::Steps steps(run, linalg::cube(n) * 2 / 3);
  if (n == 0) return;
  const Index tile = std::min(n, linalg::largest_tile);
  const Array<T> scratch(tile * tile);
  const auto inverse = Array<T>::zeros(checked_product(n, n));
  linalg::invert_triangle(L, scratch.data(), steps);
  linalg::for_rows(n, static_cast<double>(n), steps,
                   [&](Index i) { std::copy_n(&L(i, 0), i + 1, inverse.data() + i * n); });
  linalg::gram_of_triangle<T>({inverse.data(), n, n}, L, steps);
}

#define NEARLINEAR_INSTANTIATE(T)                                                         \
  template Index cholesky<T>(MatrixView<T>, const RunOptions&);                           \
  template void cholesky_solve<T>(MatrixView<const T>, MatrixView<T>, const RunOptions&); \
  template void cholesky_inverse<T>(MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

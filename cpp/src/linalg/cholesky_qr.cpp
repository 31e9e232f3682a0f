// CholeskyQR2:  A^T A = L_1 L_1^T,  Q_1 = A L_1^{-T},  Q_1^T Q_1 = L_2 L_2^T,  Q = Q_1 L_2^{-T},  R = (L_1 L_2)^T.
//
// Q_1 is not stored unless Q is wanted: a block of its rows is made and multiplied while it is in the cache. The small
// matrices are double also where A is float.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/progress.hpp"
#include "linalg/qr_methods.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear::linalg {
namespace {

struct SquareMatrix {
  Index size;
  Array<double> storage;

  explicit SquareMatrix(Index d) : size(d), storage(Array<double>::zeros(checked_product(d, d))) {}
  [[nodiscard]] MatrixView<double> view() const { return {storage.data(), size, size}; }
  [[nodiscard]] double& operator()(Index i, Index j) const { return storage[i * size + j]; }
};

/// The Cholesky factor of G in its place, with zeros above the diagonal; false when there is none.
bool factor(const SquareMatrix& G, const RunOptions& run) {
  if (cholesky(G.view(), run) != 0) return false;
  for (Index i = 0; i < G.size; ++i) std::fill_n(&G(i, i) + 1, G.size - i - 1, 0.0);
  return true;
}

/// Whether every pivot of the Cholesky factorisation of G has kept some digits: L_jj / |a_j| is the sine of the angle
/// between the column a_j and those before it.
template <class T>
bool has_accurate_pivots(const SquareMatrix& L, const Array<double>& square_norms) {
  constexpr double lost = 100 * static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  for (Index j = 0; j < L.size; ++j)
    if (!(L(j, j) * L(j, j) > lost * square_norms[j])) return false;
  return true;
}

bool is_near_identity(const SquareMatrix& G) {
  double square_sum = 0;
  for (Index i = 0; i < G.size; ++i)
    for (Index j = 0; j < G.size; ++j) square_sum += std::pow(G(i, j) - (i == j ? 1.0 : 0.0), 2);
  return square_sum <= 0.25;  // false for NaN
}

template <class T>
Array<T> converted(const SquareMatrix& matrix) {
  Array<T> result(matrix.storage.size());
  std::transform(matrix.storage.begin(), matrix.storage.end(), result.begin(),
                 [](double entry) { return static_cast<T>(entry); });
  return result;
}

/// G <- Q_1^T Q_1 and C <- Q_1^T B for Q_1 = A L^{-T}, in one pass of A.
template <class T>
void multiply_whitened(const QrProblem<T>& problem, const T* L, const SquareMatrix& G, const Array<double>& C,
                       const RunOptions& run) {
  const Index n = problem.rows(), d = problem.cols(), p = problem.rhs(), size = d * (d + p);
  constexpr Index block_bytes = Index{1} << 20;
  const Index block = std::clamp<Index>(block_bytes / (d * Index{sizeof(T)}) / 16 * 16, 256, 4096);
  const Index groups = group_count(n, block, size * Index{sizeof(double)});
  const int threads = threads_at(product_rate, run.n_threads, problem.operations());
  const auto syrk = syrk_kernel<T>();
  const auto gemm = gemm_kernel<T>();
  const Triangular<T> M{{L, 1, d}, d, false};  // L^T
  Monitor monitor(run.keep_going);

  const Array<double> total(size);
  sum_over_groups<double>(
      groups, size, threads, monitor, total.data(), [&](Index group, double* partial, const Poll& poll) {
        const RowGroup rows(n, block, groups, group);
        const Array<T> scratch(problem.wants_q() ? 0 : block * d);
        const Array<T> products(std::is_same_v<T, double> ? 0 : size);
        for (Index begin = rows.begin; begin < rows.end; begin += block) {
          poll(rows.fraction(begin));
          const Index count = std::min(block, rows.end - begin);
          const MatrixView<T> X = problem.wants_q()
                                      ? MatrixView<T>(&problem.Q(begin, 0), count, d, problem.Q.row_stride())
                                      : MatrixView<T>(scratch.data(), count, d);
          for (Index i = 0; i < count; ++i) std::copy_n(&problem.A(begin + i, 0), d, &X(i, 0));
          solve_on_this_thread(M, true, X);
          T* sums = nullptr;
          if constexpr (std::is_same_v<T, double>) {
            sums = partial;
          } else {
            std::fill(products.begin(), products.end(), T{0});
            sums = products.data();
          }
          syrk(d, count, T{1}, {X.data(), 1, X.row_stride()}, sums, d);
          if (p > 0)
            gemm(d, p, count, T{1}, {X.data(), 1, X.row_stride()}, {&problem.B(begin, 0), problem.B.row_stride(), 1},
                 sums + d * d, p);
          if constexpr (!std::is_same_v<T, double>)
            for (Index i = 0; i < size; ++i) partial[i] += static_cast<double>(sums[i]);
        }
      });
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j <= i; ++j) G(i, j) = G(j, i) = total[i * d + j];
  std::copy_n(total.data() + d * d, d * p, C.data());
}

}  // namespace

template <class T>
bool cholesky_qr(const QrProblem<T>& problem, const RunOptions& run) {
  const Index d = problem.cols(), p = problem.rhs();
  Progress progress(run);
  const SquareMatrix L1(d), L2(d), product(d);
  gram<T, double>(problem.A, L1.view(), progress.part(0.0, 0.3));
  const Array<double> square_norms(d);
  for (Index j = 0; j < d; ++j) square_norms[j] = L1(j, j);
  if (!factor(L1, progress.part(0.3, 0.32)) || !has_accurate_pivots<T>(L1, square_norms)) return false;

  const Array<T> l1 = converted<T>(L1);
  const Array<double> c(d * p);
  multiply_whitened(problem, l1.data(), L2, c, progress.part(0.32, problem.wants_q() ? 0.7 : 0.97));
  if (!is_near_identity(L2) || !factor(L2, progress.part(0.97, 0.98))) return false;

  gemm<double>(1.0, L1.view(), Transpose::no, L2.view(), Transpose::no, 0.0, product.view(), progress.part(0.98, 1.0));
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) problem.R(i, j) = j < i ? T{0} : static_cast<T>(product(j, i));
  if (p > 0) {
    triangular_solve<double>(Triangle::lower, Transpose::no, L2.view(), {c.data(), d, p}, progress.part(1.0, 1.0));
    for (Index i = 0; i < d; ++i)
      for (Index j = 0; j < p; ++j) problem.C(i, j) = static_cast<T>(c[i * p + j]);
  }
  if (problem.wants_q()) {
    const Array<T> l2 = converted<T>(L2);
    triangular_solve_right<T>(Triangle::lower, Transpose::yes, {l2.data(), d, d}, problem.Q, progress.part(0.7, 1.0));
  }
  return true;
}

template bool cholesky_qr(const QrProblem<float>&, const RunOptions&);
template bool cholesky_qr(const QrProblem<double>&, const RunOptions&);

}  // namespace nearlinear::linalg

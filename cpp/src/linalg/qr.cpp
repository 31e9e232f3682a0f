// QR factorisations: checks, the choice of the method, and the signs that make R unique.
#include "nearlinear/linalg/qr.hpp"

#include <algorithm>

#include "core/arithmetic.hpp"
#include "linalg/householder.hpp"
#include "linalg/qr_methods.hpp"
#include "linalg/rates.hpp"

namespace nearlinear {
namespace linalg {

template <class T>
void householder_qr(const QrProblem<T>& problem, const RunOptions& run) {
  const Index n = problem.rows(), d = problem.cols(), p = problem.rhs();
  const int threads = threads_at(reflection_rate, run.n_threads, problem.operations());
  constexpr Index rows_at_once = 1024;
  Monitor monitor(run.keep_going);
  monitor.enter_stage(0.0, 0.02);
  const ByColumns<T> storage(n, d + p);
  const Columns<T> M = storage.columns();
  const Index copies = ceil_divide(n, rows_at_once);
  parallel_for(copies, threads, monitor, [&](Index copy) {
    const Index begin = copy * rows_at_once, end = std::min(n, begin + rows_at_once);
    copy_to_columns(problem.A, begin, end, M);
    if (p > 0) copy_to_columns(problem.B, begin, end, M.at(0, d));
  });
  Householder<T> qr(M, n, d, p);
  qr.factor(threads, monitor);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) problem.R(i, j) = j < i ? T{0} : M(i, j);
    for (Index j = 0; j < p; ++j) problem.C(i, j) = M(i, d + j);
  }
  if (!problem.wants_q()) return;

  constexpr Index cols_at_once = 128;
  const Index tasks = ceil_divide(d, cols_at_once);
  monitor.enter_stage(0.6, 1.0);
  parallel_for_workers(tasks, threads, monitor, [&](Index t, int worker) {
    const Index task = tasks - 1 - t;  // the last columns meet all panels, and take longest
    const Index first = task * cols_at_once, last = std::min(d, first + cols_at_once);
    const ByColumns<T> part(n, last - first);
    const Columns<T> Z = part.columns();
    for (Index j = 0; j < last - first; ++j) {
      std::fill_n(&Z(0, j), n, T{0});
      Z(first + j, j) = T{1};
    }
    qr.multiply_by_q(Z, last - first, last, [&] {
      if (worker == 0) monitor.poll(static_cast<double>(t) / static_cast<double>(tasks));
    });
    for (Index i = 0; i < n; ++i)
      for (Index j = first; j < last; ++j) problem.Q(i, j) = Z(i, j - first);
  });
}

template void householder_qr(const QrProblem<float>&, const RunOptions&);
template void householder_qr(const QrProblem<double>&, const RunOptions&);

namespace {

/// Rows per column from which on `automatic` does not take householder. With fewer, merging the triangles of TSQR costs
/// more than its blocks save, and CholeskyQR2 takes more operations than it makes up for by their speed.
constexpr Index tall_enough = 16;

/// Rows of R with a negative diagonal change sign, with those of C and columns of Q.
template <class T>
void make_diagonal_positive(const QrProblem<T>& problem) {
  const auto negate = [](T& entry) { entry = -entry; };
  for (Index i = 0; i < problem.cols(); ++i) {
    if (!(problem.R(i, i) < T{0})) continue;
    std::for_each(&problem.R(i, i), &problem.R(i, i) + (problem.cols() - i), negate);
    for (Index j = 0; j < problem.rhs(); ++j) negate(problem.C(i, j));
    if (problem.wants_q())
      for (Index row = 0; row < problem.rows(); ++row) negate(problem.Q(row, i));
  }
}

template <class T>
QrMethod solve(const QrProblem<T>& problem, QrMethod method, const RunOptions& run) {
  const Index n = problem.rows(), d = problem.cols();
  if (d == 0) return QrMethod::householder;
  if (method == QrMethod::automatic && n >= tall_enough * d)
    method = problem.wants_q() ? QrMethod::cholesky : QrMethod::tall_skinny;
  if (method == QrMethod::cholesky) {
    if (cholesky_qr(problem, run)) return QrMethod::cholesky;
    method = QrMethod::tall_skinny;
  }
  if (method != QrMethod::tall_skinny || problem.wants_q() || !is_tall_skinny(n, d)) method = QrMethod::householder;
  if (method == QrMethod::tall_skinny)
    tall_skinny_qr(problem, run);
  else
    householder_qr(problem, run);
  make_diagonal_positive(problem);
  return method;
}

template <class T>
void require_tall(const char* function, MatrixView<const T> A, MatrixView<T> R) {
  require_valid_view(A, function, "A");
  require_valid_view(R, function, "R");
  require(A.rows() >= A.cols(), function, ": A is ", shape(A), "; it must not have fewer rows than columns");
  require(R.rows() == A.cols() && R.cols() == A.cols(), function, ": A is ", shape(A), " and R is ", shape(R),
          "; R must be square, with a row for every column of A");
}

}  // namespace
}  // namespace linalg

template <class T>
QrMethod qr(MatrixView<const T> A, MatrixView<T> R, QrMethod method, const RunOptions& run) {
  linalg::require_tall("qr", A, R);
  return linalg::solve<T>({A, {nullptr, A.rows(), 0}, R, {nullptr, A.cols(), 0}, {nullptr, A.rows(), 0}}, method, run);
}

template <class T>
QrMethod qr_multiply(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> R, MatrixView<T> C, QrMethod method,
                     const RunOptions& run) {
  linalg::require_tall("qr_multiply", A, R);
  require_valid_view(B, "qr_multiply", "B");
  require_valid_view(C, "qr_multiply", "C");
  require(B.rows() == A.rows() && C.rows() == A.cols() && C.cols() == B.cols(), "qr_multiply: A is ", shape(A),
          ", B is ", shape(B), " and C is ", shape(C), "; they must be n x d, n x p and d x p");
  return linalg::solve<T>({A, B, R, C, {nullptr, A.rows(), 0}}, method, run);
}

template <class T>
QrMethod qr_thin(MatrixView<const T> A, MatrixView<T> Q, MatrixView<T> R, QrMethod method, const RunOptions& run) {
  linalg::require_tall("qr_thin", A, R);
  require_valid_view(Q, "qr_thin", "Q");
  require(Q.rows() == A.rows() && Q.cols() == A.cols(), "qr_thin: A is ", shape(A), " and Q is ", shape(Q),
          "; they must have the same shape");
  return linalg::solve<T>({A, {nullptr, A.rows(), 0}, R, {nullptr, A.cols(), 0}, Q}, method, run);
}

#define NEARLINEAR_INSTANTIATE(T)                                                                                 \
  template QrMethod qr(MatrixView<const T>, MatrixView<T>, QrMethod, const RunOptions&);                          \
  template QrMethod qr_multiply(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, MatrixView<T>, QrMethod, \
                                const RunOptions&);                                                               \
  template QrMethod qr_thin(MatrixView<const T>, MatrixView<T>, MatrixView<T>, QrMethod, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

// What callers see of conjugate gradients: one system, many right-hand sides, many small systems.
#include "linalg/conjugate_gradient.hpp"

#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "linalg/kernels.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/iterative.hpp"

namespace nearlinear {
namespace {

void require_options(const ConjugateGradientOptions& options, const char* function) {
  require(!options.tol || *options.tol >= 0, function, ": tol is ", options.tol.value_or(0),
          "; it must not be negative");
  require(!options.maxiter || *options.maxiter >= 0, function, ": maxiter is ", options.maxiter.value_or(0),
          "; it must not be negative");
}

template <class T>
void require_operators(const LinearOperator<T>& A, const LinearOperator<T>& M, const char* function) {
  require(A.rows == A.cols && A.rows >= 0, function, ": A is ", Shape{A.rows, A.cols}, "; it must be square");
  require(static_cast<bool>(A.apply), function, ": A has no apply");
  require(!M.apply || (M.rows == A.rows && M.cols == A.cols), function, ": A is ", Shape{A.rows, A.cols}, " and M is ",
          Shape{M.rows, M.cols}, "; they must be alike");
}

template <class T>
void solve(const LinearOperator<T>& A, MatrixView<const T> B, MatrixView<T> X,
           std::span<ConjugateGradientResult> results, const LinearOperator<T>& M,
           const ConjugateGradientOptions& options, const RunOptions& run) {
  constexpr Index nanoseconds = 2;  // for an entry of the vectors, in one iteration
  const int threads = thread_count(run.n_threads, checked_product(nanoseconds * B.rows(), B.cols()));
  Monitor monitor(run.keep_going);
  if (B.cols() > 0)
    linalg::ConjugateGradientSolver<T>(A, M, B.cols(), options, threads, monitor).solve(B, X, results, true);
}

/// The matrix of a system, and the preconditioner that goes with it.
template <class T>
class DenseSystem {
 public:
  DenseSystem(Index k, BatchPreconditioner preconditioner)
      : A{k, k, [this](MatrixView<const T> X, MatrixView<T> Y) { multiply(X.data(), Y.data()); }, {}}, M{k, k, {}, {}} {
    if (preconditioner == BatchPreconditioner::diagonal)
      M.apply = [this](MatrixView<const T> X, MatrixView<T> Y) {
        for (Index i = 0; i < X.rows(); ++i) Y(i, 0) = X(i, 0) / matrix(i, i);
      };
  }
  DenseSystem(const DenseSystem&) = delete;

  LinearOperator<T> A;
  LinearOperator<T> M;
  MatrixView<const T> matrix{nullptr, 0, 0};

 private:
  void multiply(const T* x, T* y) const {
    linalg::gemv_pair_kernel<T>()(matrix.rows(), matrix.cols(), matrix.data(), matrix.row_stride(), x, y, nullptr,
                                  nullptr);
  }
};

}  // namespace

template <class T>
ConjugateGradientResult conjugate_gradient(const LinearOperator<T>& A, std::span<const T> b, std::span<T> x,
                                           const LinearOperator<T>& M, const ConjugateGradientOptions& options,
                                           const RunOptions& run) {
  require_operators(A, M, "conjugate_gradient");
  require_options(options, "conjugate_gradient");
  require(std::ssize(b) == A.rows && std::ssize(x) == A.rows, "conjugate_gradient: A is ", Shape{A.rows, A.cols},
          ", b has ", std::ssize(b), " entries and x has ", std::ssize(x), "; they must have as many as A has rows");
  ConjugateGradientResult result;
  solve<T>(A, {b.data(), A.rows, 1}, {x.data(), A.rows, 1}, {&result, 1}, M, options, run);
  return result;
}

template <class T>
void conjugate_gradient_batch(const LinearOperator<T>& A, MatrixView<const T> B, MatrixView<T> X,
                              std::span<ConjugateGradientResult> results, const LinearOperator<T>& M,
                              const ConjugateGradientOptions& options, const RunOptions& run) {
  require_operators(A, M, "conjugate_gradient_batch");
  require_options(options, "conjugate_gradient_batch");
  require_valid_view(B, "conjugate_gradient_batch", "B");
  require_valid_view(X, "conjugate_gradient_batch", "X");
  require(B.rows() == A.rows && X.rows() == A.rows && X.cols() == B.cols() && std::ssize(results) == B.cols(),
          "conjugate_gradient_batch: A is ", Shape{A.rows, A.cols}, ", B is ", shape(B), ", X is ", shape(X),
          " and there are ", std::ssize(results), " results; they must be n x n, n x p, n x p and p");
  solve<T>(A, B, X, results, M, options, run);
}

template <class T>
void conjugate_gradient_batch(BatchView<const T> A, MatrixView<const T> B, MatrixView<T> X,
                              std::span<ConjugateGradientResult> results, BatchPreconditioner preconditioner,
                              const ConjugateGradientOptions& options, const RunOptions& run) {
  require_options(options, "conjugate_gradient_batch");
  require_valid_view(B, "conjugate_gradient_batch", "B");
  require_valid_view(X, "conjugate_gradient_batch", "X");
  const Index count = A.count(), k = A.rows();
  require(A.cols() == k && k >= 0 && count >= 0 && A.row_stride() >= k,
          "conjugate_gradient_batch: the matrices of A are ", Shape{k, A.cols()}, "; they must be square");
  require(A.data() != nullptr || count == 0 || k == 0, "conjugate_gradient_batch: A has ", count,
          " matrices but its data pointer is null");
  require(B.rows() == count && B.cols() == k && X.rows() == count && X.cols() == k && std::ssize(results) == count,
          "conjugate_gradient_batch: A has ", count, " matrices of ", Shape{k, k}, ", B is ", shape(B), ", X is ",
          shape(X), " and there are ", std::ssize(results), " results; there must be a row and a result for each");
  if (count == 0) return;

  ConjugateGradientOptions each = options;
  each.callback = {};
  constexpr Index guessed_iterations = 10;
  const Index work = checked_product(checked_product(count, k), checked_product(k, guessed_iterations)) / 4;
  const int threads = static_cast<int>(std::min<Index>(count, thread_count(run.n_threads, work)));
  Monitor monitor(run.keep_going);
  std::vector<std::unique_ptr<DenseSystem<T>>> systems;
  std::vector<std::unique_ptr<linalg::ConjugateGradientSolver<T>>> solvers;
  for (int worker = 0; worker < threads; ++worker) {
    systems.push_back(std::make_unique<DenseSystem<T>>(k, preconditioner));
    solvers.push_back(std::make_unique<linalg::ConjugateGradientSolver<T>>(systems.back()->A, systems.back()->M, 1,
                                                                           each, 1, monitor));
  }
  const Index block = std::max<Index>(1, 20000 / std::max<Index>(1, k * k));
  parallel_for_workers(ceil_divide(count, block), threads, monitor, [&](Index i, int worker) {
    const auto w = static_cast<std::size_t>(worker);
    for (Index s = i * block; s < std::min(count, (i + 1) * block); ++s) {
      systems[w]->matrix = A[s];
      solvers[w]->solve({B.data() + s * B.row_stride(), k, 1}, {X.data() + s * X.row_stride(), k, 1},
                        results.subspan(static_cast<std::size_t>(s), 1), false);
    }
  });
}

#define NEARLINEAR_INSTANTIATE(T)                                                                                    \
  template ConjugateGradientResult conjugate_gradient<T>(const LinearOperator<T>&, std::span<const T>, std::span<T>, \
                                                         const LinearOperator<T>&, const ConjugateGradientOptions&,  \
                                                         const RunOptions&);                                         \
  template void conjugate_gradient_batch<T>(const LinearOperator<T>&, MatrixView<const T>, MatrixView<T>,            \
                                            std::span<ConjugateGradientResult>, const LinearOperator<T>&,            \
                                            const ConjugateGradientOptions&, const RunOptions&);                     \
  template void conjugate_gradient_batch<T>(BatchView<const T>, MatrixView<const T>, MatrixView<T>,                  \
                                            std::span<ConjugateGradientResult>, BatchPreconditioner,                 \
                                            const ConjugateGradientOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

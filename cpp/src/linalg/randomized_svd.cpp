// Checks and scaling for the subspace iteration.
#include "nearlinear/linalg/randomized_svd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/progress.hpp"
#include "linalg/scaling.hpp"
#include "linalg/subspace_iteration.hpp"
#include "linalg/thin_transposed_product.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear {
namespace linalg {
namespace {

/// A dense matrix, scaled where its products could leave the range of T.
template <class T>
LowRankProblem<T> problem_of(MatrixView<const T> A, Progress& progress) {
  LowRankProblem<T> problem{A.rows(), A.cols(), {}, 0, 0};
  constexpr int most = std::numeric_limits<T>::max_exponent / 2;
  double sum = square_sum(A, 0, progress.part(0, 0.02));
  int exponent = 0;
  std::frexp(sum, &exponent);
  if (!(sum > 0 && sum <= std::numeric_limits<double>::max()) || std::abs(exponent) > most) {
    const Scale scale = scale_of(A, progress.part(0.02, 0.03));
    if (!scale.is_finite) refuse_non_finite(A, "randomized_svd", "A");
    // Factors 2^-exponent times entries of orthonormal columns must be in the range of T themselves.
    const int limit = std::numeric_limits<T>::max_exponent - 8;
    problem.exponent = std::clamp(scale.exponent, -limit, limit);
    sum = square_sum(A, problem.exponent, progress.part(0.03, 0.05));
  }
  problem.frobenius_norm = std::sqrt(sum);
  const auto scaled = [exponent = problem.exponent](const auto& product) {
    return [exponent, product](MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
      if (exponent == 0) return product(X, Y, run);
      const Factor<T> small(X.rows(), X.cols());
      copy_scaled(X, -exponent, small.view(), run);
      product(small.view(), Y, run);
    };
  };
  problem.products = {scaled([A](MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
                        gemm<T>(1, A, Transpose::no, X, Transpose::no, 0, Y, run);
                      }),
                      scaled([A](MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
                        thin_transposed_product(A, X, Y, run);
                      })};
  return problem;
}

template <class T>
LowRankProblem<T> problem_of(const LinearOperator<T>& A, double frobenius_norm) {
  const auto checked = [](const auto& product, const char* name) {
    return [&product, name](MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
      product(X, Y);
      if (!scale_of(Y, run).is_finite) refuse_non_finite(Y, "randomized_svd", name);
    };
  };
  return {A.rows,
          A.cols,
          {checked(A.apply, "A.apply(X)"), checked(A.apply_transposed, "A.apply_transposed(X)")},
          frobenius_norm,
          0};
}

void check(Index rank, const RandomizedSvdOptions& options) {
  require(rank >= 1, "randomized_svd: rank is ", rank, "; it must be at least 1");
  require(options.oversampling >= 0, "randomized_svd: oversampling is ", options.oversampling,
          "; it must not be negative");
  require(options.power_iterations >= automatic, "randomized_svd: power_iterations is ", options.power_iterations,
          "; it must be `automatic` or not be negative");
  require(options.tol >= 0 && options.tol < 1, "randomized_svd: tol is ", options.tol, "; it must be in [0, 1)");
}

template <class T>
RandomizedSvd<T> solve(const LowRankProblem<T>& problem, Index rank, const RandomizedSvdOptions& options,
                       Progress& progress) {
  if (problem.rows == 0 || problem.cols == 0) {
    RandomizedSvd<T> nothing;
    nothing.rows = problem.rows;
    nothing.cols = problem.cols;
    nothing.settled = true;
    return nothing;
  }
  return iterate_subspace(problem, rank, options, progress);
}

}  // namespace
}  // namespace linalg

template <class T>
RandomizedSvd<T> randomized_svd(MatrixView<const T> A, Index rank, const RandomizedSvdOptions& options,
                                const RunOptions& run) {
  require_valid_view(A, "randomized_svd", "A");
  linalg::check(rank, options);
  linalg::Progress progress(run);
  return linalg::solve(linalg::problem_of(A, progress), rank, options, progress);
}

template <class T>
RandomizedSvd<T> randomized_svd(const LinearOperator<T>& A, Index rank, const RandomizedSvdOptions& options,
                                const RunOptions& run) {
  require(A.rows >= 0 && A.cols >= 0, "randomized_svd: A has the negative shape ", Shape{A.rows, A.cols});
  require(A.apply && A.apply_transposed, "randomized_svd: A has no apply or no apply_transposed; both are needed");
  require(!(options.frobenius_norm > std::numeric_limits<double>::max()) && !std::isnan(options.frobenius_norm),
          "randomized_svd: frobenius_norm is ", options.frobenius_norm, "; it must be finite, or negative if unknown");
  linalg::check(rank, options);
  linalg::Progress progress(run);
  return linalg::solve(linalg::problem_of(A, options.frobenius_norm), rank, options, progress);
}

#define NEARLINEAR_INSTANTIATE(T)                                                                           \
  template RandomizedSvd<T> randomized_svd<T>(MatrixView<const T>, Index, const RandomizedSvdOptions&,      \
                                              const RunOptions&);                                           \
  template RandomizedSvd<T> randomized_svd<T>(const LinearOperator<T>&, Index, const RandomizedSvdOptions&, \
                                              const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

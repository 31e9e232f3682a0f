#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "check.hpp"
#include "linalg/iterative_problems.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/linalg/iterative.hpp"

using namespace nearlinear;
using nearlinear::test::at;
using nearlinear::test::Matrix;
using nearlinear::test::norm_of;
using nearlinear::test::random_matrix;
using nearlinear::test::random_vector;
using nearlinear::test::residual;
using nearlinear::test::wide;
using nearlinear::test::with_condition;

namespace {

using Status = ConjugateGradientStatus;
using Result = ConjugateGradientResult;

/// Products that treat each column alone, summed in double: the same bits for any number of columns.
template <class T>
LinearOperator<T> column_by_column(const Matrix<T>& A) {
  const auto apply = [&A](MatrixView<const T> X, MatrixView<T> Y) {
    for (Index c = 0; c < X.cols(); ++c)
      for (Index i = 0; i < A.rows(); ++i) {
        double sum = 0;
        for (Index j = 0; j < A.cols(); ++j) sum += static_cast<double>(A(i, j)) * static_cast<double>(X(j, c));
        Y(i, c) = static_cast<T>(sum);
      }
  };
  return {A.rows(), A.cols(), apply, {}};
}

/// M = D^{-1}.
template <class T>
LinearOperator<T> diagonal_of(const Matrix<T>& A) {
  const auto apply = [&A](MatrixView<const T> X, MatrixView<T> Y) {
    for (Index i = 0; i < X.rows(); ++i)
      for (Index c = 0; c < X.cols(); ++c) Y(i, c) = X(i, c) / A(i, i);
  };
  return {A.rows(), A.cols(), apply, {}};
}

template <class T>
void check_system(Index n, double condition, double scale_A, double scale_b, std::uint64_t seed) {
  const Matrix<T> A = with_condition<T>(n, condition, n, scale_A, seed);
  const std::vector<T> b = random_vector<T>(n, seed, scale_b);
  const double tol = std::is_same_v<T, float> ? 1e-4 : 1e-8;
  for (const bool has_guess : {false, true})
    for (const bool has_preconditioner : {false, true}) {
      std::vector<T> x = has_guess ? random_vector<T>(n, seed + 1, scale_b / scale_A) : std::vector<T>(at(n));
      const LinearOperator<T> M = has_preconditioner ? diagonal_of(A) : LinearOperator<T>{};
      const Result result = conjugate_gradient<T>(as_operator<T>(A.view()), b, x, M, {.maxiter = 100 * n});
      const auto [norm, slack] = residual(A, b, x);
      CHECK(result.status == Status::converged);
      CHECK(norm <= wide(tol) * norm_of(b) + slack);
      CHECK(std::abs(wide(result.residual_norm) - norm) <= slack + 1e-12L * norm);
    }
}

template <class T>
void check_attainable(Index n, double condition, std::uint64_t seed) {
  const Matrix<T> A = with_condition<T>(n, condition, n, 1, seed);
  const std::vector<T> b = random_vector<T>(n, seed);
  std::vector<T> x(at(n));
  const Result result = conjugate_gradient<T>(as_operator<T>(A.view()), b, x, {}, {.tol = 0.0, .maxiter = 1000 * n});
  const auto [norm, slack] = residual(A, b, x);
  CHECK(result.status == Status::stagnated || (result.status == Status::converged && result.residual_norm == 0));
  // Greenbaum's bound, u ||A|| max ||x_j|| times the number of iterations; ||x_j|| <= 2 ||x*|| from a guess of 0.
  const long double iterations = wide(static_cast<double>(result.iterations)) + wide(static_cast<double>(n));
  CHECK(norm <= test::gamma<T>(1) * iterations * (2 * norm_of(x) + norm_of(b)));
}

template <class T>
bool same_bits(const Matrix<T>& a, const Matrix<T>& b) {
  return a.storage() == b.storage();
}

}  // namespace

TEST("conjugate_gradient solves systems of many sizes and conditions") {
  std::uint64_t seed = 100;
  for (const Index n : {1, 2, 3, 5, 8, 13, 21, 34, 55})
    for (const double condition : {1.0, 10.0, 300.0}) {
      check_system<double>(n, condition, 1, 1, ++seed);
      check_system<float>(n, condition, 1, 1, ++seed);
    }
  check_system<double>(40, 1e6, 1, 1, 1);
  check_system<double>(200, 1e4, 1, 1, 2);
}

TEST("conjugate_gradient solves systems of any scale") {
  for (const double b : {1e-300, 1e-200, 1e-160, 1e160, 1e200, 1e300}) check_system<double>(20, 100, 1, b, 3);
  for (const double A : {1e-150, 1e-100, 1e100, 1e150}) check_system<double>(20, 100, A, 1, 4);
  for (const double both : {1e-140, 1e-30, 1e30, 1e140}) check_system<double>(20, 100, both, 1e10 * both, 5);
  for (const double b : {1e-30, 1e-20, 1e20, 1e30}) check_system<float>(20, 30, 1, b, 6);
}

TEST("conjugate_gradient takes as many iterations as A has eigenvalues") {
  for (const Index distinct : {1, 2, 3, 7}) {
    const Matrix<double> A = with_condition<double>(30, 20, distinct, 1, 7);
    const std::vector<double> b = random_vector<double>(30, 8);
    std::vector<double> x(30);
    const Result result = conjugate_gradient<double>(as_operator<double>(A.view()), b, x);
    CHECK(result.status == Status::converged);
    CHECK(result.iterations == distinct);
  }
}

TEST("conjugate_gradient goes as far as the precision allows, says so, and ends") {
  std::uint64_t seed = 200;
  for (const Index n : {2, 10, 50})
    for (const double condition : {1.0, 1e2, 1e4, 1e8, 1e12, 1e14}) {
      if (n <= 10 || condition <= 1e12) check_attainable<double>(n, condition, ++seed);
      if (condition <= 1e4) check_attainable<float>(n, condition, ++seed);
    }
}

TEST("conjugate_gradient names what is not positive definite") {
  const Index n = 12;
  const std::vector<double> b = random_vector<double>(n, 9);
  Matrix<double> negative(n, n), indefinite(n, n), zero(n, n), identity(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      negative(i, j) = i == j ? -1 : 0;
      indefinite(i, j) = i == j ? static_cast<double>(i) - 5.5 : 0;
      zero(i, j) = 0;
      identity(i, j) = i == j ? 1 : 0;
    }
  for (const Matrix<double>* A : {&negative, &zero, &indefinite}) {
    std::vector<double> x(at(n));
    const Result result = conjugate_gradient<double>(as_operator<double>(A->view()), b, x);
    CHECK(result.status == Status::breakdown);
    CHECK(std::isfinite(result.residual_norm) && result.residual_norm <= static_cast<double>(norm_of(b)) * 1.0000001);
    std::vector<double> y(at(n));
    const auto M = as_operator<double>(A->view());
    if (A != &indefinite)
      CHECK(conjugate_gradient<double>(as_operator<double>(identity.view()), b, y, M).status == Status::breakdown);
  }
}

TEST("conjugate_gradient ends on products and right-hand sides that are not finite, with a finite solution") {
  const Index n = 9;
  const Matrix<double> A = with_condition<double>(n, 10, n, 1, 10);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    std::vector<double> b = random_vector<double>(n, 11);
    for (const int good_products : {0, 1, 3}) {
      int products = 0;
      LinearOperator<double> broken = as_operator<double>(A.view());
      broken.apply = [&, whole = broken.apply](MatrixView<const double> X, MatrixView<double> Y) {
        whole(X, Y);
        if (products++ >= good_products) Y(4, 0) = bad;
      };
      std::vector<double> x(at(n));
      CHECK(conjugate_gradient<double>(broken, b, x).status == Status::breakdown);
      CHECK(std::all_of(x.begin(), x.end(), [](double entry) { return std::isfinite(entry); }));
    }
    b[3] = bad;
    std::vector<double> x(at(n));
    CHECK(conjugate_gradient<double>(as_operator<double>(A.view()), b, x).status == Status::breakdown);
  }
}

TEST("conjugate_gradient knows a solution when it is given one") {
  const Index n = 20;
  const Matrix<double> A = with_condition<double>(n, 50, n, 1, 12);
  const std::vector<double> b = random_vector<double>(n, 13), zeros(at(n));
  std::vector<double> x(at(n));
  CHECK(conjugate_gradient<double>(as_operator<double>(A.view()), b, x, {}, {.tol = 1e-12}).status ==
        Status::converged);
  const std::vector<double> solution = x;
  const Result again = conjugate_gradient<double>(as_operator<double>(A.view()), b, x);
  CHECK(again.status == Status::converged && again.iterations == 0 && x == solution);
  const Result none = conjugate_gradient<double>(as_operator<double>(A.view()), zeros, x);
  CHECK(none.status == Status::converged && none.iterations == 0 && none.residual_norm == 0 && x == zeros);
  const Result empty = conjugate_gradient<double>(as_operator<double>({nullptr, 0, 0}), {}, {});
  CHECK(empty.status == Status::converged && empty.iterations == 0);
}

TEST("conjugate_gradient ends after maxiter iterations, or when the callback says so") {
  const Index n = 50;
  const Matrix<double> A = with_condition<double>(n, 1e6, n, 1, 14);
  const std::vector<double> b = random_vector<double>(n, 15);
  for (const Index most : {0, 1, 4}) {
    std::vector<double> x(at(n)), y(at(n));
    const Result result = conjugate_gradient<double>(as_operator<double>(A.view()), b, x, {}, {.maxiter = most});
    CHECK(result.status == Status::maxiter && result.iterations == most);
    CHECK(std::abs(wide(result.residual_norm) - residual(A, b, x).first) <= residual(A, b, x).second);
    if (most == 0) continue;
    Index calls = 0;
    const auto stop = [&](const ConjugateGradientProgress& progress) {
      CHECK(progress.iteration == ++calls);
      CHECK(progress.residual_norms.size() == 1 && progress.residual_norms[0] > 0);
      return progress.iteration < most;
    };
    const Result stopped = conjugate_gradient<double>(as_operator<double>(A.view()), b, y, {}, {.callback = stop});
    CHECK(stopped.status == Status::stopped && stopped.iterations == most && x == y);
  }
}

TEST("conjugate_gradient_batch gives every right-hand side what it gets alone") {
  const Index n = 30, p = 7;
  const Matrix<double> A = with_condition<double>(n, 100, n, 1, 16);
  Matrix<double> B = random_matrix<double>(n, p, 17, 3), X(n, p, 2);
  for (Index i = 0; i < n; ++i) {
    B(i, 2) = 0;
    B(i, 3) *= 1e200;
    B(i, 4) *= 1e-250;
    for (Index c = 0; c < p; ++c) X(i, c) = c == 5 ? 0.5 : 0;
  }
  std::vector<Result> results(at(p));
  for (const bool has_preconditioner : {false, true}) {
    const LinearOperator<double> M = has_preconditioner ? diagonal_of(A) : LinearOperator<double>{};
    Matrix<double> together = X;
    conjugate_gradient_batch<double>(column_by_column(A), B.view(), together.view(), results, M);
    CHECK(together.gaps_are_untouched());
    for (Index c = 0; c < p; ++c) {
      std::vector<double> b(at(n)), x(at(n));
      for (Index i = 0; i < n; ++i) {
        b[at(i)] = B(i, c);
        x[at(i)] = X(i, c);
      }
      const Result alone = conjugate_gradient<double>(column_by_column(A), b, x, M);
      bool same = alone.status == results[at(c)].status && alone.iterations == results[at(c)].iterations &&
                  alone.residual_norm == results[at(c)].residual_norm;
      for (Index i = 0; i < n; ++i) same = same && x[at(i)] == together(i, c);
      CHECK(same && alone.status == Status::converged);
    }
  }
}

TEST("conjugate_gradient_batch gives every small system what it gets alone, on any number of threads") {
  const Index count = 300, k = 11;
  std::vector<double> a;
  for (Index s = 0; s < count; ++s) {
    const Matrix<double> A = with_condition<double>(k, 1.0 + static_cast<double>(s), k, s % 50 == 7 ? -1 : 1, at(s));
    a.insert(a.end(), A.storage().begin(), A.storage().end());
  }
  const BatchView<const double> A(a.data(), count, k, k);
  const Matrix<double> B = random_matrix<double>(count, k, 18, 1);
  for (const auto preconditioner : {BatchPreconditioner::none, BatchPreconditioner::diagonal}) {
    Matrix<double> first(count, k, 2);
    for (const int threads : {1, 2, 4}) {
      Matrix<double> X(count, k, 2);
      for (Index s = 0; s < count; ++s)
        for (Index i = 0; i < k; ++i) X(s, i) = 0;
      std::vector<Result> results(at(count));
      conjugate_gradient_batch<double>(A, B.view(), X.view(), results, preconditioner, {}, {.n_threads = threads});
      if (threads > 1) {
        CHECK(same_bits(X, first));
        continue;
      }
      first = X;
      for (Index s = 0; s < count; ++s) {
        std::vector<double> x(at(k)), b(&B.view()(s, 0), &B.view()(s, 0) + k);
        Matrix<double> one(k, k);
        for (Index i = 0; i < k; ++i)
          for (Index j = 0; j < k; ++j) one(i, j) = A[s](i, j);
        const Result alone = conjugate_gradient<double>(
            as_operator<double>(one.view()), b, x,
            preconditioner == BatchPreconditioner::diagonal ? diagonal_of(one) : LinearOperator<double>{});
        CHECK(alone.status == results[at(s)].status);
        CHECK((alone.status == Status::breakdown) == (s % 50 == 7));
        CHECK(alone.iterations == results[at(s)].iterations);
      }
    }
  }
}

TEST("conjugate_gradient has the same bits on any number of threads") {
  const Index n = 300000;
  const auto difference = [](MatrixView<const float> X, MatrixView<float> Y) {
    for (Index i = 0; i < X.rows(); ++i)
      for (Index c = 0; c < X.cols(); ++c)
        Y(i, c) = 2.5F * X(i, c) - (i > 0 ? X(i - 1, c) : 0) - (i + 1 < X.rows() ? X(i + 1, c) : 0);
  };
  const std::vector<float> b = random_vector<float>(n, 19);
  std::vector<float> first(at(n));
  const LinearOperator<float> A{n, n, difference, {}};
  CHECK(conjugate_gradient<float>(A, b, first, {}, {}, {.n_threads = 1}).status == Status::converged);
  for (const int threads : {2, 4}) {
    std::vector<float> x(at(n));
    CHECK(conjugate_gradient<float>(A, b, x, {}, {}, {.n_threads = threads}).status == Status::converged);
    CHECK(x == first);
  }
}

TEST("conjugate_gradient refuses shapes that do not match, and bad options") {
  const Matrix<double> A = with_condition<double>(3, 10, 3, 1, 20);
  const auto op = as_operator<double>(A.view());
  std::vector<double> x(12);
  const std::span<double> three = std::span(x).first(3), four = std::span(x).first(4);
  std::vector<Result> results(2);
  using invalid = std::invalid_argument;
  const auto solve = [&](const LinearOperator<double>& a, std::span<const double> b, std::span<double> solution,
                         const LinearOperator<double>& M = {}, const ConjugateGradientOptions& options = {}) {
    (void)conjugate_gradient<double>(a, b, solution, M, options);
  };
  CHECK_THROWS(solve(op, four, three), invalid, "A is 3 x 3, b has 4 entries and x has 3");
  CHECK_THROWS(solve(op, three, four), invalid, "b has 3 entries and x has 4");
  CHECK_THROWS(solve({3, 4, op.apply, {}}, three, three), invalid, "A is 3 x 4; it must be square");
  CHECK_THROWS(solve({3, 3, {}, {}}, three, three), invalid, "A has no apply");
  CHECK_THROWS(solve(op, three, three, {4, 4, op.apply, {}}), invalid, "A is 3 x 3 and M is 4 x 4");
  CHECK_THROWS(solve(op, three, three, {}, {.tol = -1.0}), invalid, "tol is -1");
  CHECK_THROWS(solve(op, three, three, {}, {.tol = std::nan("")}), invalid, "tol is nan");
  CHECK_THROWS(solve(op, three, three, {}, {.maxiter = -1}), invalid, "maxiter is -1");
  const MatrixView<double> X(x.data(), 3, 2), wide_X(x.data(), 3, 3);
  CHECK_THROWS(conjugate_gradient_batch<double>(op, X, wide_X, results), invalid, "B is 3 x 2, X is 3 x 3");
  const BatchView<const double> batch(x.data(), 2, 2, 2), rectangles(x.data(), 2, 2, 3);
  const MatrixView<double> rows(x.data(), 2, 2);
  CHECK_THROWS(conjugate_gradient_batch<double>(batch, X, X, results), invalid,
               "A has 2 matrices of 2 x 2, B is 3 x 2");
  CHECK_THROWS(conjugate_gradient_batch<double>(rectangles, rows, rows, results), invalid, "must be square");
  CHECK_THROWS(conjugate_gradient_batch<double>(BatchView<const double>(nullptr, 2, 2, 2), rows, rows, results),
               invalid, "its data pointer is null");
  CHECK_THROWS((void)as_operator<double>({nullptr, 2, 2}), invalid, "as_operator: A is 2 x 2 but its data");
}

TEST("conjugate_gradient stops when it is told to") {
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  const Index n = 100000;
  const auto identity = [](MatrixView<const double> X, MatrixView<double> Y) {
    for (Index i = 0; i < X.rows(); ++i) Y(i, 0) = X(i, 0) * static_cast<double>(1 + i);
  };
  const std::vector<double> b = random_vector<double>(n, 21);
  std::vector<double> x(at(n));
  for (const int threads : {1, 2})
    CHECK_THROWS((void)conjugate_gradient<double>({n, n, identity, {}}, b, x, {}, {.tol = 0.0},
                                                  {.n_threads = threads, .keep_going = stop}),
                 interrupted, "stopped");
  const Index count = 2000, k = 40;
  const Matrix<double> one = with_condition<double>(k, 1e10, k, 1, 22);
  std::vector<double> many;
  for (Index s = 0; s < count; ++s) many.insert(many.end(), one.storage().begin(), one.storage().end());
  std::vector<double> rhs(at(count * k), 1.0), solution(rhs.size());
  std::vector<Result> results(at(count));
  CHECK_THROWS(conjugate_gradient_batch<double>(BatchView<const double>(many.data(), count, k, k),
                                                MatrixView<const double>(rhs.data(), count, k),
                                                MatrixView<double>(solution.data(), count, k), results,
                                                BatchPreconditioner::none, {.tol = 0.0}, {.keep_going = stop}),
               interrupted, "stopped");
}

TEST("every allocation of conjugate_gradient may fail") {
  const Index n = 60;
  const Matrix<double> A = with_condition<double>(n, 10, n, 1, 23);
  const Matrix<double> B = random_matrix<double>(n, 2, 24);
  const auto solve = [&] {
    Matrix<double> X(n, 2);
    for (Index i = 0; i < n; ++i) X(i, 0) = X(i, 1) = 0;
    std::array<Result, 2> results;
    conjugate_gradient_batch<double>(as_operator<double>(A.view()), B.view(), X.view(), results, diagonal_of(A));
    std::array<Result, 1> of_batch;
    std::vector<double> x(at(n));
    conjugate_gradient_batch<double>(BatchView<const double>(A.view().data(), 1, n, n),
                                     MatrixView<const double>(B.view().data(), 1, n),
                                     MatrixView<double>(x.data(), 1, n), of_batch);
    if (results[1].status != Status::converged || of_batch[0].status != Status::converged)
      throw std::logic_error("no convergence");
    return std::array{X(3, 0), X(n - 1, 1), x[5]};
  };
  const auto expected = solve();
  CHECK(check::count_survived_allocation_failures([&] {
          if (solve() != expected) throw std::logic_error("wrong result");
        }) > 0);
}

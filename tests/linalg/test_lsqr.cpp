#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
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

namespace {

/// m x n of rank `rank`, times `scale`; columns shrink evenly down to 1 / spread.
template <class T>
Matrix<T> of_rank(Index m, Index n, Index rank, double spread, double scale, std::uint64_t seed) {
  const Matrix<double> left = random_matrix<double>(m, rank, seed), right = random_matrix<double>(n, rank, seed + 1);
  Matrix<T> A(m, n);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      double sum = 0;
      for (Index p = 0; p < rank; ++p) sum += left(i, p) * right(j, p);
      A(i, j) = static_cast<T>(sum * scale * std::pow(spread, -static_cast<double>(j) / static_cast<double>(n)));
    }
  return A;
}

/// The quantities of the optimality conditions, from the definition.
struct Truth {
  long double residual = 0;         // || (b - A x, damp d) ||
  long double normal_residual = 0;  // || A^T (b - A x) - damp^2 d ||
  long double norm = 0;             // || (A, damp I) ||_F
  long double d = 0;

  template <class T>
  Truth(const Matrix<T>& A, const std::vector<T>& b, const std::vector<T>& x, const std::vector<T>& x0, double damp) {
    const auto wide = [](T entry) { return static_cast<long double>(entry); };
    std::vector<long double> r(b.begin(), b.end()), g(x.size());
    for (Index i = 0; i < A.rows(); ++i)
      for (Index j = 0; j < A.cols(); ++j) {
        r[at(i)] -= wide(A(i, j)) * wide(x[at(j)]);
        norm += wide(A(i, j)) * wide(A(i, j));
      }
    norm = std::sqrt(norm + static_cast<long double>(damp) * damp * static_cast<long double>(A.cols()));
    for (std::size_t j = 0; j < x.size(); ++j) {
      const long double difference = wide(x[j]) - wide(x0[j]);
      g[j] = -static_cast<long double>(damp) * damp * difference;
      for (Index i = 0; i < A.rows(); ++i) g[j] += wide(A(i, static_cast<Index>(j))) * r[at(i)];
      d += difference * difference;
    }
    residual = std::sqrt(norm_of(r) * norm_of(r) + static_cast<long double>(damp) * damp * d);
    normal_residual = norm_of(g);
    d = std::sqrt(d);
  }
};

/// What ends lsqr must hold of the solution itself. The estimates follow a recurrence: they may be off by what rounding
/// makes of it, some multiple of u for every iteration, which the slack allows.
template <class T>
void check_problem(const Matrix<T>& A, const std::vector<T>& b, double damp, bool has_guess, std::uint64_t seed) {
  const double tol = std::is_same_v<T, float> ? 1e-4 : 1e-8;
  const long double scale = norm_of(b) / (A.rows() * A.cols() > 0 ? std::abs(A(0, 0)) + 1e-300L : 1);
  const std::vector<T> x0 =
      has_guess ? random_vector<T>(A.cols(), seed, static_cast<double>(scale)) : std::vector<T>(at(A.cols()));
  std::vector<T> x = x0;
  const LsqrResult result = lsqr<T>(as_operator<T>(A.view()), b, x, {.damp = damp, .maxiter = 200 * (A.cols() + 5)});
  const Truth truth(A, b, x, x0, damp);
  const long double slack = test::gamma<T>(10 * (result.iterations + 1) + A.rows() + A.cols()) *
                            (truth.norm * (truth.d + norm_of(x0)) + norm_of(b));
  CHECK(static_cast<int>(result.status) <= 2);
  const long double norm = std::max(truth.norm, static_cast<long double>(result.norm));  // what the criteria go by
  if (result.status == LsqrStatus::compatible)
    CHECK(truth.residual <= tol * (norm_of(b) + norm * truth.d) * 1.001L + slack);
  if (result.status == LsqrStatus::least_squares || result.status == LsqrStatus::zero_residual)
    CHECK(truth.normal_residual <= tol * norm * truth.residual * 1.001L + truth.norm * slack);
  CHECK(std::abs(static_cast<long double>(result.residual_norm) - truth.residual) <= 1e-3L * truth.residual + slack);
  if (result.status == LsqrStatus::zero_residual) return;
  CHECK(static_cast<long double>(result.norm) <=
        1.001L * truth.norm * std::sqrt(1 + static_cast<long double>(result.iterations)));
  CHECK(std::abs(static_cast<long double>(result.solution_norm) - truth.d) <= 1e-2L * truth.d + slack);
}

template <class T>
void check_sizes(Index m, Index n, std::uint64_t seed) {
  const Index rank = std::min(m, n);
  const Matrix<T> A = of_rank<T>(m, n, rank + 3, 3, 1, seed);
  const std::vector<T> b = random_vector<T>(m, seed);
  for (const double damp : {0.0, 0.5})
    for (const bool has_guess : {false, true}) check_problem(A, b, damp, has_guess, seed);
  if (rank < 2) return;
  check_problem(of_rank<T>(m, n, rank - 1, 2, 1, seed), b, 0, false, seed);
}

}  // namespace

TEST("lsqr solves least-squares problems of many shapes and ranks") {
  std::uint64_t seed = 300;
  for (const Index m : {1, 2, 3, 7, 20, 41})
    for (const Index n : {1, 2, 3, 7, 20}) {
      check_sizes<double>(m, n, ++seed);
      check_sizes<float>(m, n, ++seed);
    }
  check_sizes<double>(300, 60, 1);
}

TEST("lsqr solves problems of any scale") {
  for (const double scale_A : {1e-200, 1e-100, 1.0, 1e100, 1e200})
    for (const double scale_b : {1e-100, 1.0, 1e100}) {
      const Matrix<double> A = of_rank<double>(12, 5, 8, 2, scale_A, 4);
      const std::vector<double> b = random_vector<double>(12, 5, scale_b);
      std::vector<double> x(5), y(5);
      const LsqrResult result = lsqr<double>(as_operator<double>(A.view()), b, x);
      const Matrix<double> A1 = of_rank<double>(12, 5, 8, 2, 1, 4);
      (void)lsqr<double>(as_operator<double>(A1.view()), random_vector<double>(12, 5), y);
      CHECK(result.status == LsqrStatus::least_squares);
      bool same = true;
      for (std::size_t i = 0; i < 5; ++i)
        same = same && std::abs(x[i] / (scale_b / scale_A) - y[i]) <= 1e-6 * std::abs(y[i]);
      CHECK(same);
    }
  for (const double scale : {1e-300, 1e300}) {
    const Matrix<double> A = of_rank<double>(12, 5, 8, 2, 1, 4);
    std::vector<double> x(5);
    CHECK(lsqr<double>(as_operator<double>(A.view()), random_vector<double>(12, 5, scale), x).status ==
          LsqrStatus::least_squares);
    CHECK(std::all_of(x.begin(), x.end(),
                      [&](double entry) { return std::abs(entry) > 1e-6 * scale && std::abs(entry) < 1e3 * scale; }));
  }
}

TEST("lsqr finds the solution nearest to the guess") {
  const Matrix<double> A = of_rank<double>(4, 9, 4, 2, 1, 6);
  const std::vector<double> b = random_vector<double>(4, 7);
  for (const bool has_guess : {false, true}) {
    const std::vector<double> x0 = has_guess ? random_vector<double>(9, 8) : std::vector<double>(9);
    std::vector<double> x = x0;
    CHECK(lsqr<double>(as_operator<double>(A.view()), b, x, {.atol = 1e-14, .btol = 1e-14}).status ==
          LsqrStatus::compatible);
    // x - x0 lies in the range of A^T: what remains of it after a fit by rows of A is nothing.
    std::vector<double> d(9), w(4);
    for (std::size_t i = 0; i < 9; ++i) d[i] = x[i] - x0[i];
    const LinearOperator<double> whole = as_operator<double>(A.view());
    const LinearOperator<double> transposed{9, 4, whole.apply_transposed, whole.apply};
    const LsqrResult fit = lsqr<double>(transposed, d, w, {.atol = 1e-14, .btol = 1e-14});
    CHECK(fit.residual_norm <= 1e-11 * static_cast<double>(norm_of(d)));
  }
}

TEST("lsqr with a preconditioner solves the same problem in fewer iterations") {
  const Index m = 60, n = 30;
  const Matrix<double> A = of_rank<double>(m, n, 60, 1e5, 1, 9);
  const std::vector<double> b = random_vector<double>(m, 10);
  std::vector<double> scales(at(n));
  for (Index j = 0; j < n; ++j) {
    double squares = 0;
    for (Index i = 0; i < m; ++i) squares += A(i, j) * A(i, j);
    scales[at(j)] = 1 / std::sqrt(squares);
  }
  const auto scale = [&](MatrixView<const double> X, MatrixView<double> Y) {
    for (Index j = 0; j < n; ++j) Y(j, 0) = scales[at(j)] * X(j, 0);
  };
  const LsqrOptions options{.atol = 1e-13, .btol = 1e-13, .conlim = 0.0, .maxiter = 5000};
  std::vector<double> plain(at(n)), preconditioned(at(n));
  const LsqrResult slow = lsqr<double>(as_operator<double>(A.view()), b, plain, options);
  const LsqrResult fast = lsqr<double>(as_operator<double>(A.view()), b, preconditioned, options, {n, n, scale, scale});
  CHECK(static_cast<int>(fast.status) <= 2);
  CHECK(2 * fast.iterations < slow.iterations);
  bool same = true;
  for (std::size_t j = 0; j < plain.size(); ++j)
    same = same && std::abs(plain[j] - preconditioned[j]) <= 1e-5 * std::abs(preconditioned[j]);
  CHECK(same);
}

TEST("lsqr says why it ended") {
  const Matrix<double> A = of_rank<double>(20, 10, 12, 1e6, 1, 11);
  const auto op = as_operator<double>(A.view());
  const std::vector<double> b = random_vector<double>(20, 12);
  const auto run = [&](const LsqrOptions& options, std::vector<double> x = std::vector<double>(10)) {
    return lsqr<double>(op, b, x, options);
  };
  CHECK(run({.conlim = 10.0}).status == LsqrStatus::condition_limit);
  CHECK(run({.atol = 0.0, .btol = 0.0, .conlim = 0.0, .maxiter = 100000}).status >= LsqrStatus::least_squares);
  CHECK(run({.atol = 0.0, .btol = 0.0, .conlim = 0.0, .maxiter = 100000}).iterations < 100000);
  CHECK(run({.btol = 10.0}).status == LsqrStatus::compatible);
  CHECK(run({.maxiter = 0}).status == LsqrStatus::maxiter);
  CHECK(run({.maxiter = 3}).iterations == 3);
  Index calls = 0;
  const LsqrResult stopped = run({.callback = [&](const LsqrResult& progress) {
    CHECK(progress.iterations == ++calls && progress.residual_norm > 0);
    return calls < 4;
  }});
  CHECK(stopped.status == LsqrStatus::stopped && stopped.iterations == 4);

  // Statuses without an iteration: b = 0, x0 a solution, A^T b = 0, and empty problems.
  std::vector<double> x = random_vector<double>(10, 13), Ax(20);
  std::vector<double> nothing(10);
  CHECK(lsqr<double>(op, std::vector<double>(20), nothing).status == LsqrStatus::zero_residual);
  op.apply(MatrixView<const double>(x.data(), 10, 1), MatrixView<double>(Ax.data(), 20, 1));
  const std::vector<double> before = x;
  const LsqrResult exact = lsqr<double>(op, Ax, x);
  CHECK(exact.status == LsqrStatus::zero_residual && exact.iterations == 0 && x == before);
  std::vector<double> one(1), two(2);
  CHECK(lsqr<double>(as_operator<double>({nullptr, 0, 0}), {}, {}).status == LsqrStatus::zero_residual);
  CHECK(lsqr<double>(as_operator<double>({nullptr, 0, 2}), {}, two).status == LsqrStatus::zero_residual);
  CHECK(lsqr<double>(as_operator<double>({nullptr, 1, 0}), one, {}).status == LsqrStatus::zero_residual);
  const std::vector<double> a{0, 0}, rhs{1};
  const LsqrResult zero = lsqr<double>(as_operator<double>({a.data(), 1, 2}), rhs, two);
  CHECK(zero.status == LsqrStatus::zero_residual && zero.residual_norm == 1 && two == std::vector<double>(2));
}

TEST("lsqr ends on products and right-hand sides that are not finite, with a finite solution") {
  const Matrix<double> A = of_rank<double>(8, 5, 6, 2, 1, 14);
  const auto whole = as_operator<double>(A.view());
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (const int good_products : {0, 1, 2, 3}) {
      int products = 0;
      const auto breaking = [&](const auto& apply) {
        return [&](MatrixView<const double> X, MatrixView<double> Y) {
          apply(X, Y);
          if (products++ >= good_products) Y(2, 0) = bad;
        };
      };
      std::vector<double> x(5), b = random_vector<double>(8, 15);
      const LinearOperator<double> broken{8, 5, breaking(whole.apply), breaking(whole.apply_transposed)};
      CHECK(lsqr<double>(broken, b, x).status == LsqrStatus::breakdown);
      b[1] = bad;
      CHECK(lsqr<double>(whole, b, x).status == LsqrStatus::breakdown);
      CHECK(std::all_of(x.begin(), x.end(), [](double entry) { return std::isfinite(entry); }));
    }
}

TEST("lsqr has the same bits on any number of threads") {
  const Matrix<float> A = random_matrix<float>(200000, 4, 16);
  const std::vector<float> b = random_vector<float>(200000, 17);
  std::vector<float> first(4);
  (void)lsqr<float>(as_operator<float>(A.view(), {.n_threads = 1}), b, first, {}, {}, {.n_threads = 1});
  for (const int threads : {2, 4}) {
    std::vector<float> x(4);
    (void)lsqr<float>(as_operator<float>(A.view(), {.n_threads = threads}), b, x, {}, {}, {.n_threads = threads});
    CHECK(x == first);
  }
}

TEST("lsqr refuses shapes that do not match, and bad options") {
  const Matrix<double> A = random_matrix<double>(3, 2, 18);
  const auto op = as_operator<double>(A.view());
  std::vector<double> x(2), b(3);
  using invalid = std::invalid_argument;
  CHECK_THROWS((void)lsqr<double>(op, x, x), invalid, "lsqr: A is 3 x 2, b has 2 entries and x has 2");
  CHECK_THROWS((void)lsqr<double>(op, b, b), invalid, "b has 3 entries and x has 3");
  CHECK_THROWS((void)lsqr<double>({3, 2, op.apply, {}}, b, x), invalid, "it must have apply and apply_transposed");
  CHECK_THROWS((void)lsqr<double>(op, b, x, {}, op), invalid, "A is 3 x 2 and N is 3 x 2; N must be square");
  CHECK_THROWS((void)lsqr<double>(op, b, x, {.damp = std::nan("")}), invalid, "damp is nan; it must be finite");
  CHECK_THROWS((void)lsqr<double>(op, b, x, {.atol = -1.0}), invalid, "atol is -1");
  CHECK_THROWS((void)lsqr<double>(op, b, x, {.btol = -1.0}), invalid, "btol is -1");
  CHECK_THROWS((void)lsqr<double>(op, b, x, {.conlim = std::nan("")}), invalid, "conlim is nan");
  CHECK_THROWS((void)lsqr<double>(op, b, x, {.maxiter = -1}), invalid, "maxiter is -1");
}

TEST("lsqr stops when it is told to") {
  const Index n = 200000;
  const auto apply = [](MatrixView<const double> X, MatrixView<double> Y) {
    for (Index i = 0; i < X.rows(); ++i) Y(i, 0) = X(i, 0) * static_cast<double>(1 + i);
  };
  std::vector<double> x(at(n));
  const std::vector<double> b = random_vector<double>(n, 19);
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  for (const int threads : {1, 2})
    CHECK_THROWS((void)lsqr<double>({n, n, apply, apply}, b, x, {.atol = 0.0, .btol = 0.0, .conlim = 0.0}, {},
                                    {.n_threads = threads, .keep_going = stop}),
                 interrupted, "stopped");
}

TEST("every allocation of lsqr may fail") {
  const Matrix<double> A = of_rank<double>(30, 10, 12, 2, 1, 20);
  const std::vector<double> b = random_vector<double>(30, 21);
  const auto solve = [&] {
    std::vector<double> x(10);
    (void)lsqr<double>(as_operator<double>(A.view()), b, x);
    return x;
  };
  const auto expected = solve();
  CHECK(check::count_survived_allocation_failures([&] {
          if (solve() != expected) throw std::logic_error("wrong result");
        }) > 0);
}

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/sketch.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

constexpr LstsqMethod methods[] = {LstsqMethod::automatic, LstsqMethod::cholesky, LstsqMethod::gram,
                                   LstsqMethod::sketch_cg, LstsqMethod::tsqr};

/// A with columns of lengths from 1 to 1 / condition, b = A (1, ..., 1)^T + noise.
template <class T>
struct Problem {
  Matrix<T> A, B;

  Problem(Index n, Index d, double condition, double noise, Index gaps = 0)
      : A(random_matrix<T>(n, d, 1, gaps)), B(n, 1, gaps) {
    const RandomStream random(2, 0);
    for (Index i = 0; i < n; ++i) {
      double sum = 0;
      for (Index j = 0; j < d; ++j) {
        A(i, j) = static_cast<T>(static_cast<double>(A(i, j)) *
                                 std::pow(condition, -static_cast<double>(j) / static_cast<double>(d)));
        if (j > 0) A(i, j) = static_cast<T>(static_cast<double>(A(i, j)) + static_cast<double>(A(i, j - 1)));
        sum += static_cast<double>(A(i, j));
      }
      B(i, 0) = static_cast<T>(sum + noise * random.normal(static_cast<std::uint64_t>(i)));
    }
  }

  /// |A^T (b - A x)| over |A|_F |b - A x|, or over |A|_F (|A|_F |x| + |b|) where that is more.
  [[nodiscard]] double gradient(const Matrix<T>& X) const {
    std::vector<long double> g(static_cast<std::size_t>(A.cols()));
    long double square_A = 0, square_r = 0, square_b = 0, square_x = 0, square_g = 0;
    for (Index i = 0; i < A.rows(); ++i) {
      long double r = static_cast<long double>(B(i, 0));
      square_b += r * r;
      for (Index j = 0; j < A.cols(); ++j) r -= static_cast<long double>(A(i, j)) * static_cast<long double>(X(j, 0));
      square_r += r * r;
      for (Index j = 0; j < A.cols(); ++j) {
        g[static_cast<std::size_t>(j)] += static_cast<long double>(A(i, j)) * r;
        square_A += static_cast<long double>(A(i, j)) * static_cast<long double>(A(i, j));
      }
    }
    for (Index j = 0; j < A.cols(); ++j)
      square_x += static_cast<long double>(X(j, 0)) * static_cast<long double>(X(j, 0));
    for (const long double entry : g) square_g += entry * entry;
    return static_cast<double>(std::sqrt(square_g / square_A) /
                               (std::sqrt(square_r) + std::sqrt(square_A * square_x) + std::sqrt(square_b)));
  }
};

/// The same matrix in blocks of rows that are read again and again.
struct Blocks {
  MatrixView<const double> A, B;
  Index next = 0;

  RowBlocks<double> rows(bool can_rewind) {
    RowBlocks<double> blocks{A.cols(),
                             B.cols(),
                             [this](MatrixView<const double>& a, MatrixView<const double>& b) {
                               const Index end = std::min(next + 137, A.rows());
                               a = {&A(std::min(next, A.rows() - 1), 0), end - next, A.cols(), A.row_stride()};
                               b = {&B(std::min(next, A.rows() - 1), 0), end - next, B.cols(), B.row_stride()};
                               const bool is_any = next < end;
                               next = end;
                               return is_any;
                             },
                             {}};
    if (can_rewind) blocks.rewind = [this] { next = 0; };
    return blocks;
  }
};

}  // namespace

TEST("all methods solve well- and ill-conditioned problems to the last digits") {
  for (const double condition : {1e1, 1e5, 1e11})
    for (const LstsqMethod method : methods) {
      const Problem<double> problem(1200, 20, condition, 1e-3, 2);
      Matrix<double> X(20, 1, 3);
      const auto result = lstsq<double>(problem.A.view(), problem.B.view(), X.view(), {.method = method});
      CHECK(result.status == LstsqStatus::converged && result.rank == 20);
      CHECK(result.backward_error < 5e-16);
      CHECK(problem.gradient(X) < 1e-15);
      CHECK(X.gaps_are_untouched());
    }
}

TEST("single precision is used up to its last digits") {
  for (const LstsqMethod method : methods) {
    const Problem<float> problem(1500, 12, 1e3, 1e-2);
    Matrix<float> X(12, 1);
    const auto result = lstsq<float>(problem.A.view(), problem.B.view(), X.view(), {.method = method});
    CHECK(result.status == LstsqStatus::converged);
    CHECK(problem.gradient(X) < 5e-7);
  }
}

TEST("dense, transposed, sparse, by products and in blocks are the same problem") {
  const Problem<double> problem(900, 11, 1e4, 1e-2);
  const auto A = problem.A.view(), B = problem.B.view();
  Matrix<double> X(11, 1), Y(11, 1), transposed(11, 900);
  (void)lstsq<double>(A, B, X.view());
  std::vector<std::int64_t> indptr{0}, indices;
  std::vector<double> data;
  for (Index i = 0; i < 900; ++i) {
    for (Index j = 0; j < 11; ++j) {
      transposed(j, i) = A(i, j);
      indices.push_back(j);
      data.push_back(A(i, j));
    }
    indptr.push_back(std::ssize(indices));
  }
  const auto is_close = [&] {
    double largest = 0;
    for (Index j = 0; j < 11; ++j) largest = std::max(largest, std::abs(X(j, 0) - Y(j, 0)));
    return largest < 1e-9;
  };
  (void)weighted_lstsq<double>(transposed.view(), Transpose::yes, B, Y.view(), {});
  CHECK(is_close());
  (void)lstsq<double, std::int64_t>({900, 11, indptr, indices, data}, B, Y.view());
  CHECK(is_close());
  (void)lstsq<double>(as_operator<double>(A), B, Y.view());
  CHECK(is_close());
  Blocks blocks{A, B};
  for (const LstsqMethod method : methods) {
    const auto result = lstsq<double>(blocks.rows(true), Y.view(), {.method = method});
    CHECK(is_close() && result.backward_error < 5e-16);
  }
  blocks.next = 0;
  const auto once = lstsq<double>(blocks.rows(false), Y.view());
  CHECK(is_close() && once.passes == 1 && std::isnan(once.backward_error));
}

TEST("a wide problem has the solution of least norm, in the range of A^T") {
  const auto A = random_matrix<double>(15, 200, 3), B = random_matrix<double>(15, 2, 4);
  Matrix<double> X(200, 2);
  const auto result = lstsq<double>(A.view(), B.view(), X.view());
  CHECK(result.rank == 15 && result.backward_error < 1e-14);
  // Orthogonal to the null space: as A^T y, with y from least squares, leaves nothing.
  Matrix<double> Y(15, 2);
  const auto range = weighted_lstsq<double>(A.view(), Transpose::yes, X.view(), Y.view(), {});
  CHECK(range.residual_norm[0] < 1e-13 && range.residual_norm[1] < 1e-13);
}

TEST("entries of any scale are scaled where they must be") {
  for (const double a : {1e-300, 1.0, 1e200})
    for (const double b : {1e-290, 1.0, 1e250}) {
      if (b / a > 1e290 || b / a < 1e-290) continue;  // where x overflows or underflows
      Problem<double> problem(700, 5, 10, 1e-2);
      Matrix<double> X(5, 1), Y(5, 1);
      (void)lstsq<double>(problem.A.view(), problem.B.view(), X.view());
      for (Index i = 0; i < 700; ++i) {
        for (Index j = 0; j < 5; ++j) problem.A(i, j) *= a;
        problem.B(i, 0) *= b;
      }
      for (const LstsqMethod method : methods) {
        (void)lstsq<double>(problem.A.view(), problem.B.view(), Y.view(), {.method = method});
        for (Index j = 0; j < 5; ++j) CHECK(std::abs(Y(j, 0) * (a / b) - X(j, 0)) < 1e-10 * std::abs(X(j, 0)));
      }
    }
}

TEST("ridges, by the path and one by one, and rows left out") {
  const Problem<double> problem(300, 6, 10, 1);
  const std::vector<double> ridges{0.0, 2.0, 50.0};
  const RidgePath path = ridge_path<double>(problem.A.view(), Transpose::no, problem.B.view(), {}, ridges);
  for (Index l = 0; l < 3; ++l) {
    Matrix<double> X(6, 1);
    const auto result =
        lstsq<double>(problem.A.view(), problem.B.view(), X.view(), {.ridge = ridges[static_cast<std::size_t>(l)]});
    for (Index j = 0; j < 6; ++j) CHECK(std::abs(X(j, 0) - path.x[l * 6 + j]) < 1e-10);
    CHECK(std::abs(result.residual_norm[0] - path.residual_norm[l]) < 1e-10 * path.residual_norm[l]);
    Matrix<double> left_out(300, 1);
    leave_one_out<double>(problem.A.view(), Transpose::no, problem.B.view(), {}, ridges[static_cast<std::size_t>(l)],
                          left_out.view());
    double sum = 0;
    for (Index i = 0; i < 300; ++i) sum += left_out(i, 0) * left_out(i, 0);
    CHECK(std::abs(sum / 300 - path.loo_error[l]) < 1e-10 * path.loo_error[l]);
  }
  CHECK(std::abs(path.degrees_of_freedom[0] - 6) < 1e-12);
}

TEST("what lstsq refuses") {
  auto A = random_matrix<double>(50, 3, 5);
  const auto B = random_matrix<double>(50, 1, 6);
  Matrix<double> X(3, 1), wrong(4, 1);
  const auto solve = [&](const LstsqOptions& options) { (void)lstsq<double>(A.view(), B.view(), X.view(), options); };
  CHECK_THROWS((void)lstsq<double>(A.view(), B.view(), wrong.view()), std::invalid_argument, "X is 4 x 1");
  CHECK_THROWS(solve({.ridge = -1}), std::invalid_argument, "ridge is -1");
  CHECK_THROWS(solve({.rcond = 1.0}), std::invalid_argument, "rcond is 1");
  CHECK_THROWS(solve({.tol = 0.0}), std::invalid_argument, "tol is 0");
  CHECK_THROWS(solve({.maxiter = -1}), std::invalid_argument, "maxiter is -1");
  CHECK_THROWS(solve({.delta = 1}), std::invalid_argument, "delta is 1");
  CHECK_THROWS(solve({.sketch_rows = 2}), std::invalid_argument, "sketch_rows is 2");
  CHECK_THROWS((void)lstsq<double>(LinearOperator<double>{50, 3, {}, {}}, B.view(), X.view()), std::invalid_argument,
               "needs apply");
  Blocks blocks{A.view(), B.view()};
  CHECK_THROWS((void)lstsq<double>(blocks.rows(false), X.view(), {.method = LstsqMethod::gram}), std::invalid_argument,
               "read once");
  A(7, 2) = std::numeric_limits<double>::quiet_NaN();
  for (const LstsqMethod method : methods)
    CHECK_THROWS(solve({.method = method}), std::invalid_argument, "A has the entry nan at index (7, 2)");
}

TEST("a problem that runs out of memory says so") {
  const Problem<double> problem(400, 8, 1e9, 1e-2);
  Matrix<double> X(8, 1);
  for (const LstsqMethod method : {LstsqMethod::cholesky, LstsqMethod::gram, LstsqMethod::sketch_cg})
    CHECK(check::count_survived_allocation_failures([&] {
            (void)lstsq<double>(problem.A.view(), problem.B.view(), X.view(), {.method = method}, {.n_threads = 1});
          }) > 0);
}

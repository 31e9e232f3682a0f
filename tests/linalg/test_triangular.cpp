#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "linalg/factors.hpp"
#include "nearlinear/linalg/cholesky.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

/// |op(L) x - b| <= gamma_{n+1} |op(L)| |x| for every column of X, or every row of it (Higham, theorem 8.5).
template <class T>
bool solves(const Matrix<T>& L, Triangle triangle, Transpose op, bool from_right, const Matrix<T>& X,
            const Matrix<T>& B) {
  const Index n = L.rows(), width = from_right ? B.rows() : B.cols();
  bool right = true;
  for (Index w = 0; w < width; w += 1 + width / 20)
    for (Index i = 0; i < n; ++i) {
      // Row i of op(L) or, from the right, column i of it.
      const bool by_rows = (op == Transpose::no) != from_right;
      const bool ends_at_diagonal = (triangle == Triangle::lower) == by_rows;
      long double sum = 0, absolute = 0;
      for (Index k = ends_at_diagonal ? 0 : i; k < (ends_at_diagonal ? i + 1 : n); ++k) {
        const long double product = wide(by_rows ? L(i, k) : L(k, i)) * wide(from_right ? X(w, k) : X(k, w));
        sum += product;
        absolute += std::abs(product);
      }
      right = right && std::abs(sum - wide(from_right ? B(w, i) : B(i, w))) <= test::gamma<T>(n + 1) * absolute;
    }
  return right;
}

template <class T>
void check_triangular_solve_with(const Matrix<T>& L, Triangle triangle, Index width) {
  const Index n = L.rows();
  for (const Transpose op : {Transpose::no, Transpose::yes}) {
    const Matrix<T> left = random_matrix<T>(n, width, 21, 2), right = random_matrix<T>(width, n, 22, 2);
    Matrix<T> X = left;
    triangular_solve(triangle, op, L.view(), X.view());
    CHECK(solves(L, triangle, op, false, X, left) && X.gaps_are_untouched());
    Matrix<T> Y = right;
    triangular_solve_right(triangle, op, L.view(), Y.view());
    CHECK(solves(L, triangle, op, true, Y, right) && Y.gaps_are_untouched());
  }
}

template <class T>
void check_triangular_solve(Index n, Index width) {
  for (const Triangle triangle : {Triangle::lower, Triangle::upper})
    check_triangular_solve_with(triangular<T>(n, triangle, 20), triangle, width);
}

/// Its columns scaled by powers of two from 1 down to 1 / condition, in no order.
template <class T>
Matrix<T> graded(Index n, Triangle triangle, double condition) {
  Matrix<T> L = triangular<T>(n, triangle, 23);
  for (Index j = 0; j < n; ++j) {
    const double part = static_cast<double>(j * 7 % n) / static_cast<double>(std::max<Index>(1, n - 1));
    for (Index i = 0; i < n; ++i) L(i, j) *= static_cast<T>(std::exp2(-std::round(std::log2(condition) * part)));
  }
  return L;
}

}  // namespace

TEST("triangular systems are solved from both sides within Higham's bound") {
  for (const Index n : {1, 2, 3, 127, 128, 129, 300})
    for (const Index width : {1, 2, 9, 150}) {
      check_triangular_solve<float>(n, width);
      check_triangular_solve<double>(n, width);
    }
  check_triangular_solve<double>(700, 30);
  check_triangular_solve<double>(1100, 5);  // above the depth of a step
  check_triangular_solve<float>(2100, 3);
}

TEST("triangular systems are solved within Higham's bound at any condition") {
  for (const Index n : {2, 40, 150})
    for (const double condition : {1.0, 1e4, 1e8, 1e12, 1e14})
      for (const Triangle triangle : {Triangle::lower, Triangle::upper}) {
        check_triangular_solve_with(graded<double>(n, triangle, condition), triangle, 11);
        if (condition < 1e10) check_triangular_solve_with(graded<float>(n, triangle, condition), triangle, 11);
      }
}

TEST("triangular systems of all small sizes and widths are solved within Higham's bound") {
  for (Index n = 1; n <= 26; ++n)
    for (const Index width : {1, 3, 4, 5, 7, 8, 12, 17, 25}) {
      check_triangular_solve<float>(n, width);
      check_triangular_solve<double>(n, width);
    }
}

TEST("pivots may be subnormal: they divide, and their inverse is not taken") {
  for (const Index n : {1, 5, 130}) {
    Matrix<double> L(n, n), B(n, 9), C(9, n);
    std::fill_n(L.view().data(), n * n, 0.0);
    const double unit = std::ldexp(1.0, -1060);
    for (Index i = 0; i < n; ++i) {
      L(i, i) = unit;
      for (Index j = 0; j < 9; ++j) B(i, j) = C(j, i) = unit * static_cast<double>(i + j);
    }
    triangular_solve<double>(Triangle::lower, Transpose::no, L.view(), B.view());
    triangular_solve_right<double>(Triangle::upper, Transpose::no, L.view(), C.view());
    bool exact = true;
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < 9; ++j)
        exact = exact && B(i, j) == static_cast<double>(i + j) && C(j, i) == static_cast<double>(i + j);
    CHECK(exact);
  }
}

TEST("columns of zeros stay zero, and infinities and NaN in their column") {
  const Index n = 150;
  const Matrix<double> L = triangular<double>(n, Triangle::lower, 24);
  Matrix<double> B = random_matrix<double>(n, 20, 25), bad = B;
  for (Index i = 0; i < n; ++i) B(i, 3) = bad(i, 3) = 0;
  bad(0, 7) = std::numeric_limits<double>::infinity();
  bad(n / 2, 8) = not_a_number<double>;
  triangular_solve<double>(Triangle::lower, Transpose::no, L.view(), B.view());
  triangular_solve<double>(Triangle::lower, Transpose::no, L.view(), bad.view());
  bool same = true, zero = true;
  for (Index i = 0; i < n; ++i) {
    zero = zero && B(i, 3) == 0;
    for (Index j = 0; j < 20; ++j) same = same && (j == 7 || j == 8 || B(i, j) == bad(i, j));
  }
  CHECK(zero);
  CHECK(same);
  CHECK(!std::isfinite(bad(0, 7)) && std::isnan(bad(n / 2, 8)) && B(0, 8) == bad(0, 8));
}

// What holds for every call of the Cholesky family: threads, sizes, bad input, interruption, lack of memory.
#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/factors.hpp"
#include "nearlinear/linalg/cholesky.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

template <class T>
bool same_bits_on_any_threads() {
  const Matrix<T> A = with_condition<T>(700, 50, 60), big = triangular<T>(2700, Triangle::lower, 61);
  const Matrix<T> B = random_matrix<T>(700, 600, 62), x = random_matrix<T>(1, 2700, 63);
  const auto run_all = [&](int threads) {
    const RunOptions run{.n_threads = threads};
    Matrix<T> factor = A, U = big, S = big, X = B, Y = B, R(600, 700);
    std::vector<T> work = x.storage(), last_row = x.storage();
    last_row.back() = T{1e6};
    CHECK(cholesky(factor.view(), run) == 0);
    const Matrix<T>& L = factor;
    triangular_solve(Triangle::lower, Transpose::yes, L.view(), X.view(), run);
    for (Index i = 0; i < 600; ++i)
      for (Index j = 0; j < 700; ++j) R(i, j) = B(j, i);
    triangular_solve_right(Triangle::lower, Transpose::no, L.view(), R.view(), run);
    cholesky_solve(L.view(), Y.view(), run);
    Matrix<T> inverse = factor;
    cholesky_inverse(inverse.view(), run);
    CHECK(cholesky_update<T>(U.view(), work, run) == 0);
    CHECK(cholesky_slide<T>(S.view(), last_row, run) == 0);
    std::vector<T> all;
    for (const Matrix<T>* part : {&factor, &X, &Y, &R, &inverse, &U, &S})
      std::transform(part->storage().begin(), part->storage().end(), std::back_inserter(all),
                     [](T number) { return std::isnan(number) ? T{-1} : number; });
    return all;
  };
  const auto serial = run_all(1);
  return run_all(2) == serial && run_all(4) == serial;
}

}  // namespace

TEST("the examples of cholesky.hpp do what it says") {
  std::vector<double> a{4, 0, 2, 5}, b{8, 8};
  const MatrixView<double> A(a.data(), 2, 2);
  CHECK(cholesky(A) == 0);
  cholesky_solve<double>(A, MatrixView<double>(b.data(), 2, 1));
  CHECK(b == std::vector<double>({1.5, 1}));

  const std::vector<double> l{2, 0, 1, 4};
  b = {2, 9};
  triangular_solve<double>(Triangle::lower, Transpose::no, {l.data(), 2, 2}, {b.data(), 2, 1});
  CHECK(b == std::vector<double>({1, 2}));

  std::vector<double> x{4, 0};
  a = {3, 0, 0, 1};
  CHECK(cholesky_update<double>(A, x) == 0);
  CHECK(a == std::vector<double>({5, 0, 0, 1}));

  const std::vector<double> last_row{10, 13};
  a = {1, 0, 4, 3};
  CHECK(cholesky_slide<double>(A, last_row) == 0);
  CHECK(a == std::vector<double>({5, 0, 2, 3}));
}

TEST("the Cholesky family gives the same bits on any number of threads") {
  CHECK(same_bits_on_any_threads<float>());
  CHECK(same_bits_on_any_threads<double>());
}

TEST("the Cholesky family takes empty matrices") {
  const MatrixView<double> none(nullptr, 0, 0);
  std::vector<double> b(3, 5.0);
  CHECK(cholesky(none) == 0);
  triangular_solve<double>(Triangle::lower, Transpose::no, none, MatrixView<double>(nullptr, 0, 3));
  triangular_solve_right<double>(Triangle::upper, Transpose::no, none, MatrixView<double>(b.data(), 3, 0));
  const std::vector<double> l{2, 0, 1, 2};
  triangular_solve<double>(Triangle::lower, Transpose::no, {l.data(), 2, 2}, MatrixView<double>(b.data(), 2, 0));
  cholesky_solve<double>(none, MatrixView<double>(nullptr, 0, 3));
  cholesky_inverse(none);
  CHECK(cholesky_update<double>(none, {}) == 0);
  CHECK(cholesky_slide<double>(none, {}) == 0);
  CHECK(b == std::vector<double>(3, 5.0));
}

TEST("the Cholesky family refuses shapes that do not match, and what cannot be inverted") {
  std::vector<double> x(12, 1.0);
  const MatrixView<double> rectangle(x.data(), 3, 4), square(x.data(), 3, 3);
  const auto lower = Triangle::lower;
  const auto no = Transpose::no;
  CHECK_THROWS((void)cholesky(rectangle), std::invalid_argument, "cholesky: A is 3 x 4");
  CHECK_THROWS((void)cholesky(MatrixView<double>(nullptr, 3, 3)), std::invalid_argument, "A is 3 x 3 but its data");
  CHECK_THROWS((void)cholesky(MatrixView<double>(x.data(), 3, 3, 2)), std::invalid_argument, "row stride 2");
  CHECK_THROWS(triangular_solve<double>(lower, no, square, MatrixView<double>(x.data(), 4, 3)), std::invalid_argument,
               "triangular_solve: L is 3 x 3 and B is 4 x 3");
  CHECK_THROWS(triangular_solve<double>(lower, no, rectangle, square), std::invalid_argument, "L is 3 x 4");
  CHECK_THROWS(triangular_solve_right<double>(lower, no, square, rectangle), std::invalid_argument,
               "triangular_solve_right: L is 3 x 3 and B is 3 x 4");
  CHECK_THROWS(cholesky_solve<double>(square, MatrixView<double>(x.data(), 4, 3)), std::invalid_argument,
               "cholesky_solve: L is 3 x 3 and B is 4 x 3");
  CHECK_THROWS(cholesky_inverse(rectangle), std::invalid_argument, "cholesky_inverse: L is 3 x 4");
  CHECK_THROWS((void)cholesky_update<double>(square, x), std::invalid_argument, "L is 3 x 3 and x has 12 entries");
  CHECK_THROWS((void)cholesky_slide<double>(square, x), std::invalid_argument, "L is 3 x 3 and last_row has 12");
  x[4] = 0;
  CHECK_THROWS(triangular_solve<double>(lower, no, square, square), std::invalid_argument, "L(1, 1) is 0");
  CHECK_THROWS(cholesky_solve<double>(square, square), std::invalid_argument, "L(1, 1) is 0");
  CHECK_THROWS(cholesky_inverse(square), std::invalid_argument, "L(1, 1) is 0");
}

TEST("the Cholesky family stops when it is told to") {
  constexpr Index n = 4500;
  const KeepGoing stop = [](double fraction) {
    CHECK(fraction >= 0 && fraction <= 1);
    return false;
  };
  const auto identity = [](Index size) {
    auto entries = Array<float>::zeros(size * size);
    for (Index i = 0; i < size; ++i) entries[i * size + i] = 1;
    return entries;
  };
  const Array<float> factor = identity(n), rhs = identity(n);
  const MatrixView<float> L(factor.data(), n, n), B(rhs.data(), n, n);
  // Of the updates, the one that takes three passes over memory: it runs the other.
  constexpr Index large = 12000;
  const std::vector<float> last_row(large, 1.0F);
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS((void)cholesky(L, run), interrupted, "stopped");
    CHECK_THROWS(triangular_solve<float>(Triangle::lower, Transpose::no, L, B, run), interrupted, "stopped");
    CHECK_THROWS(triangular_solve_right<float>(Triangle::lower, Transpose::no, L, B, run), interrupted, "stopped");
    CHECK_THROWS(cholesky_solve<float>(L, B, run), interrupted, "stopped");
    CHECK_THROWS(cholesky_inverse(MatrixView<float>(identity(n).data(), n, n), run), interrupted, "stopped");
    const Array<float> window = identity(large);
    CHECK_THROWS((void)cholesky_slide<float>(MatrixView<float>(window.data(), large, large), last_row, run),
                 interrupted, "stopped");
  }
}

TEST("every allocation of the Cholesky family may fail") {
  const Matrix<double> A = with_condition<double>(400, 10, 90), B = random_matrix<double>(400, 400, 91);
  const auto all = [&](int threads) {
    const RunOptions run{.n_threads = threads};
    Matrix<double> factor = A, X = B;
    std::vector<double> x(400, 0.5), last_row(400, 0.5);
    last_row.back() = 1e3;
    Index status = cholesky(factor.view(), run);
    const Matrix<double>& L = factor;
    cholesky_solve(L.view(), X.view(), run);
    Matrix<double> inverse = factor;
    cholesky_inverse(inverse.view(), run);
    status += cholesky_update<double>(factor.view(), x, run);
    status += cholesky_slide<double>(factor.view(), last_row, run);
    if (status != 0) throw std::logic_error("not positive definite");
    return std::array{factor(399, 399), X(399, 399), inverse(0, 399)};
  };
  const auto expected = all(1);
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            if (all(threads) != expected) throw std::logic_error("wrong result");
          }) > 0);
}

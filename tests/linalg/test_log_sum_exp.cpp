#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "linalg/numbers.hpp"
#include "nearlinear/linalg/elementwise.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

long double exact_log_sum_exp(const auto& x) {
  long double maximum = -infinity<long double>, sum = 0;
  for (const auto value : x) {
    if (std::isnan(value)) return quiet_nan<long double>;
    maximum = std::max(maximum, static_cast<long double>(value));
  }
  if (std::isinf(maximum)) return maximum;
  bool first = true;
  for (const auto value : x)
    if (static_cast<long double>(value) == maximum && first)
      first = false;
    else
      sum += std::exp(static_cast<long double>(value) - maximum);
  return maximum + std::log1p(sum);
}

/// The bound of the header.
template <class T>
bool log_sum_exp_is_right(T result, const std::vector<T>& x, Index additions) {
  const long double exact = exact_log_sum_exp(x);
  if (!std::isfinite(exact)) return same(result, static_cast<T>(exact));
  const auto n = static_cast<long double>(x.size());
  const long double u = std::numeric_limits<T>::epsilon() / 2;
  const long double d = std::is_same_v<T, float> ? 0 : static_cast<long double>(additions);
  return std::abs(static_cast<long double>(result) - exact) <= u * (std::abs(exact) + 2 * std::log(n) + 4 + d);
}

template <class T>
std::vector<std::vector<T>> adversarial_rows(std::size_t n) {
  const T huge = std::numeric_limits<T>::max(), tiny = std::numeric_limits<T>::denorm_min();
  std::vector<std::vector<T>> rows;
  for (const T value :
       {T{0}, T{1}, T{-1}, huge, -huge, tiny, infinity<T>, -infinity<T>, quiet_nan<T>, T{1000}, T{-1000}}) {
    rows.emplace_back(n, value);
    for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
      rows.emplace_back(n, T{0.5});
      rows.back()[at] = value;
      rows.emplace_back(n, -infinity<T>);
      rows.back()[at] = value;
      rows.emplace_back(n, -huge);
      rows.back()[at] = value;
    }
  }
  for (const T other : {T{0}, huge, -infinity<T>, quiet_nan<T>}) {
    rows.emplace_back(n, T{1});
    rows.back()[0] = infinity<T>;
    rows.back()[n - 1] = other;
    rows.emplace_back(n, -infinity<T>);
    rows.back()[n / 3] = other;
    rows.emplace_back(n, quiet_nan<T>);
    rows.back()[n / 3] = other;
  }
  rows.emplace_back(n);
  for (std::size_t i = 0; i < n; ++i) rows.back()[i] = static_cast<T>(i);
  rows.emplace_back(rows.back().rbegin(), rows.back().rend());
  return rows;
}

/// Row by row and column by column, with gaps, on several numbers of threads.
template <class T>
void check_log_sum_exp(const Matrix<T>& A) {
  Matrix<T> transposed(A.cols(), A.rows(), 2);
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) transposed(j, i) = A(i, j);
  const auto rows = static_cast<std::size_t>(A.rows());
  std::vector<T> of_rows(rows), of_columns(rows);
  row_log_sum_exp<T>(A.view(), of_rows, {.n_threads = 1});
  column_log_sum_exp<T>(std::as_const(transposed).view(), of_columns, {.n_threads = 1});
  bool right = true, alone = true;
  for (Index i = 0; i < A.rows(); ++i) {
    const auto row = A.view().row(i);
    const std::vector<T> x(row.begin(), row.end());
    const auto at = static_cast<std::size_t>(i);
    right = right && log_sum_exp_is_right(of_rows[at], x, 70 + 5 * A.cols() / 4096);
    right = right && log_sum_exp_is_right(of_columns[at], x, 521 + 5 * A.cols() / 512);
    alone = alone && same(log_sum_exp<T>(x), of_rows[at]);
  }
  CHECK(right);
  CHECK(alone);
  for (const int threads : {2, 4}) {
    std::vector<T> again(rows);
    row_log_sum_exp<T>(A.view(), again, {.n_threads = threads});
    CHECK(same(again, of_rows));
    column_log_sum_exp<T>(std::as_const(transposed).view(), again, {.n_threads = threads});
    CHECK(same(again, of_columns));
  }
}

template <class T>
void check_log_sum_exp_of_all_kinds() {
  for (const std::size_t n : {1, 2, 63, 64, 65, 700, 4096, 9000}) {
    const auto rows = adversarial_rows<T>(n);
    Matrix<T> A(static_cast<Index>(rows.size()), static_cast<Index>(n), 3);
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < n; ++j) A(static_cast<Index>(i), static_cast<Index>(j)) = rows[i][j];
    check_log_sum_exp(A);
  }
  for (const double scale : {1e-3, 1.0, 30.0, 1e4}) {
    Matrix<T> A = random_matrix<T>(90, 1500, 23, 1);
    for (Index i = 0; i < A.rows(); ++i)
      for (Index j = 0; j < A.cols(); ++j) A(i, j) *= static_cast<T>(scale);
    check_log_sum_exp(A);
  }
  check_log_sum_exp(random_matrix<T>(3, 140000, 24, 1));  // rows that are shared among threads
}

}  // namespace

TEST("log_sum_exp of rows and of columns agrees with its definition") {
  check_log_sum_exp_of_all_kinds<float>();
  check_log_sum_exp_of_all_kinds<double>();
}

TEST("log_sum_exp keeps the digits of a result near 0") {
  const std::vector<double> x{-50, 0, -60};
  CHECK(ulps(log_sum_exp<double>(x), std::log1p(std::exp(-50.0L) + std::exp(-60.0L))) < 4);
}

TEST("log_sum_exp stops when it is told to") {
  // Read alone, zeros from the system take no memory; instrumented code takes longer, and memory for every read.
#ifdef NEARLINEAR_SANITIZED
  constexpr Index n = 1 << 12, d = 1 << 11;
#else
  constexpr Index n = 1 << 14, d = 1 << 14;
#endif
  const auto zeros = Array<double>::zeros(n * d);
  const MatrixView<const double> A(zeros.data(), n, d);
  std::vector<double> of_rows(n), of_columns(d);
  for (const int threads : {1, 2}) {
    const RunOptions run{.n_threads = threads, .keep_going = stop};
    CHECK_THROWS(row_log_sum_exp<double>(A, of_rows, run), interrupted, "stopped");
    CHECK_THROWS(column_log_sum_exp<double>(A, of_columns, run), interrupted, "stopped");
    CHECK_THROWS((void)log_sum_exp<double>(zeros.span(), run), interrupted, "stopped");
  }
}

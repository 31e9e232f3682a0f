// What holds for every elementwise function: sizes, bad input, lack of memory.
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "linalg/numbers.hpp"
#include "nearlinear/linalg/elementwise.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

TEST("elementwise functions of nothing are defined") {
  exp<double>({}, {});
  log<float>({}, {});
  CHECK(same(sum<double>({}), 0.0) && same(dot<float>({}, {}), 0.0F) && same(norm<double>({}), 0.0));
  CHECK(log_sum_exp<double>({}) == -infinity<double>);
  std::vector<float> result(3, 1.0F);
  row_log_sum_exp<float>(MatrixView<const float>(nullptr, 3, 0), result);
  CHECK(result == std::vector<float>(3, -infinity<float>));
  result.assign(3, 1.0F);
  column_log_sum_exp<float>(MatrixView<const float>(nullptr, 0, 3), result);
  CHECK(result == std::vector<float>(3, -infinity<float>));
  row_log_sum_exp<float>(MatrixView<const float>(nullptr, 0, 3), {});
  column_log_sum_exp<float>(MatrixView<const float>(nullptr, 3, 0), {});
  top_k<double>({}, 0, {});
}

TEST("elementwise functions refuse sizes that do not match") {
  std::vector<double> x(6), y(5);
  std::vector<Index> indices(3);
  const MatrixView<const double> A(x.data(), 2, 3);
  CHECK_THROWS(exp<double>(x, y), std::invalid_argument, "exp: x has 6 entries and y has 5");
  CHECK_THROWS(log<double>(x, y), std::invalid_argument, "log: x has 6 entries and y has 5");
  CHECK_THROWS(exp<double>(std::span<const double>(x).first(5), std::span<double>(x).last(5)), std::invalid_argument,
               "overlap in part");
  CHECK_THROWS((void)dot<double>(x, y), std::invalid_argument, "dot: x has 6 entries and y has 5");
  CHECK_THROWS(row_log_sum_exp<double>(A, y), std::invalid_argument, "A is 2 x 3 and result has 5 entries");
  CHECK_THROWS(column_log_sum_exp<double>(A, y), std::invalid_argument, "A is 2 x 3 and result has 5 entries");
  CHECK_THROWS(row_log_sum_exp<double>(MatrixView<const double>(nullptr, 5, 3), y), std::invalid_argument, "null");
  CHECK_THROWS(top_k<double>(x, 7, indices), std::invalid_argument, "k is 7 and x has 6 entries");
  CHECK_THROWS(top_k<double>(x, -1, indices), std::invalid_argument, "k is -1");
  CHECK_THROWS(top_k<double>(x, 2, indices), std::invalid_argument, "k is 2 and indices has 3 entries");
  CHECK_THROWS((void)sum<double>(x, {.n_threads = -1}), std::invalid_argument, "n_threads is -1");
}

TEST("every allocation of a sum or a selection may fail") {
  const Matrix<double> X = random_matrix<double>(1, 200000, 29);
  const std::vector<double>& x = X.storage();
  const double expected = sum<double>(x);
  std::vector<Index> indices(10);
  std::vector<double> result(2);
  const Matrix<double> A = random_matrix<double>(2, 140000, 30);
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            const RunOptions run{.n_threads = threads};
            if (!same(sum<double>(x, run), expected)) throw std::logic_error("wrong sum");
            row_log_sum_exp<double>(A.view(), result, run);
            top_k<double>(x, 10, indices);
          }) > 0);
}

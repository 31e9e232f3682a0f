#include <vector>

#include "check.hpp"
#include "random_matrix.hpp"

using namespace nearlinear;

namespace {

template <class T, class I>
void check_types() {
  using Method = TripleProductMethod;
  for (const Index per_row : {1, 3, 8}) {
    const auto R = random_matrix<T, I>(90, 200, per_row, 1);
    const auto A = random_matrix<T, I>(200, 300, per_row, 2);
    const auto P = random_matrix<T, I>(300, 50, per_row, 3);
    const auto fused = matmul(matmul(R.view(), A.view()).view(), P.view());
    const auto separate = matmul(R.view(), matmul(A.view(), P.view()).view());
    for (const int threads : {1, 2, 4}) {
      const RunOptions run{.n_threads = threads};
      CHECK(same_matrix(triple_product(R.view(), A.view(), P.view(), {Method::fused}, run).view(), fused.view()));
      CHECK(same_matrix(triple_product(R.view(), A.view(), P.view(), {Method::separate}, run).view(), separate.view()));
      const auto C = triple_product(R.view(), A.view(), P.view(), {}, run);
      CHECK(same_matrix(C.view(), fused.view()) || same_matrix(C.view(), separate.view()));
    }
  }
}

}  // namespace

TEST("triple_product has the bits of two products, in every type") {
  check_types<float, std::int32_t>();
  check_types<float, std::int64_t>();
  check_types<double, std::int32_t>();
  check_types<double, std::int64_t>();
}

TEST("a fused product of several blocks") {
  const auto R = random_matrix<double, int>(30'000, 1000, 30, 1), A = random_matrix<double, int>(1000, 500, 20, 2),
             P = random_matrix<double, int>(500, 40, 2, 3);
  const auto expected = matmul(matmul(R.view(), A.view()).view(), P.view());
  CHECK(
      same_matrix(triple_product(R.view(), A.view(), P.view(), {TripleProductMethod::fused}).view(), expected.view()));
}

TEST("the cheaper way is taken where the two differ much") {
  // One row of R: (R A) P is a vector times matrices. One column of P: R (A P) is.
  const auto R = random_matrix<double, int>(1, 400, 20, 1), A = random_matrix<double, int>(400, 400, 20, 2),
             P = random_matrix<double, int>(400, 400, 20, 3);
  const auto column = random_matrix<double, int>(400, 1, 1, 4);
  const auto row_first = matmul(matmul(R.view(), A.view()).view(), P.view());
  CHECK(same_matrix(triple_product(R.view(), A.view(), P.view()).view(), row_first.view()));
  const auto column_first = matmul(P.view(), matmul(A.view(), column.view()).view());
  CHECK(same_matrix(triple_product(P.view(), A.view(), column.view()).view(), column_first.view()));
}

TEST("triple_product refuses what does not fit, names it, and stops when it is told to") {
  auto R = random_matrix<double, int>(4, 5, 2, 6), A = random_matrix<double, int>(5, 6, 2, 6),
       P = random_matrix<double, int>(6, 7, 2, 6);
  const auto product = [&] { static_cast<void>(triple_product(R.view(), A.view(), P.view())); };
  CHECK_THROWS(static_cast<void>(triple_product(R.view(), P.view(), A.view())), std::invalid_argument,
               "triple_product: R is 4 x 5 but A is 6 x 7");
  CHECK_THROWS(static_cast<void>(triple_product(R.view(), A.view(), A.view())), std::invalid_argument,
               "triple_product: A is 5 x 6 but P is 5 x 6");
  P.indices[1] = 7;
  CHECK_THROWS(product(), std::invalid_argument, "triple_product: P.indices has the column 7");
  A.indices[1] = 7;
  CHECK_THROWS(product(), std::invalid_argument, "triple_product: A.indices has the column 7");
  R.indices[1] = 7;
  CHECK_THROWS(product(), std::invalid_argument, "triple_product: R.indices has the column 7");

  const auto large = random_matrix<double, int>(2000, 2000, 200, 7);
  const KeepGoing stop = [](double) { return false; };
  for (const auto method : {TripleProductMethod::fused, TripleProductMethod::separate})
    CHECK_THROWS(
        static_cast<void>(triple_product(large.view(), large.view(), large.view(), {method}, {.keep_going = stop})),
        interrupted, "stopped");
}

TEST("every allocation of triple_product may fail") {
  const auto A = random_matrix<double, int>(200, 200, 4, 9);
  const auto expected = triple_product(A.view(), A.view(), A.view());
  CHECK(check::count_survived_allocation_failures([&] {
          if (!same_matrix(triple_product(A.view(), A.view(), A.view()).view(), expected.view()))
            throw std::logic_error("wrong product");
        }) > 0);
}

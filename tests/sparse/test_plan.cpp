#include <vector>

#include "check.hpp"
#include "random_matrix.hpp"

using namespace nearlinear;

namespace {

template <class T, class I>
void check_types(bool store_positions) {
  for (const Index per_row : {1, 2, 9})
    for (const Index cols : {30, 500, 2'000'000}) {  // compresses much, little, and has idle columns
      const auto A = random_matrix<T, I>(300, 200, per_row, 1);
      const auto B = random_matrix<T, I>(200, cols, per_row, 2);
      const MatmulPlan<T, I> plan(A.view(), B.view(), {store_positions});
      auto a = A, b = B;
      for (T& value : a.data) value = 1 / value;
      for (T& value : b.data) value = value * value;
      const auto expected = matmul(a.view(), b.view());
      for (const int threads : {1, 2, 4})
        CHECK(same_matrix(plan.execute(a.data, b.data, {.n_threads = threads}).view(), expected.view()));
      CHECK(plan.nnz() == expected.nnz() && plan.rows() == 300 && plan.cols() == cols);
    }
}

/// A full first row and a diagonal; the first row has more scalar products than are summed in one go.
TestMatrix<double, int> long_row(Index n) {
  TestMatrix<double, int> matrix{n, n, {0}, {}, {}};
  for (Index i = 0; i < n; ++i) {
    for (Index j = i; j < (i == 0 ? n : i + 1); ++j) {
      matrix.indices.push_back(static_cast<int>(j));
      matrix.data.push_back(static_cast<double>(j % 7) - 3);
    }
    matrix.indptr.push_back(static_cast<int>(matrix.indices.size()));
  }
  return matrix;
}

}  // namespace

TEST("a plan gives the bits of matmul for other values, in every type") {
  for (const bool store_positions : {true, false}) {
    check_types<float, std::int32_t>(store_positions);
    check_types<float, std::int64_t>(store_positions);
    check_types<double, std::int32_t>(store_positions);
    check_types<double, std::int64_t>(store_positions);
  }
}

TEST("a plan cuts a long row by columns") {
  const auto A = long_row(700'000);
  const MatmulPlan<double, int> plan(A.view(), A.view());
  const auto expected = matmul(A.view(), A.view());
  for (const int threads : {1, 4})
    CHECK(same_matrix(plan.execute(A.data, A.data, {.n_threads = threads}).view(), expected.view()));
}

TEST("a plan of the header's example, after its operands are gone") {
  const auto make = [] {
    const std::vector<int> a_indptr{0, 2, 3}, a_indices{0, 1, 1}, b_indptr{0, 1, 2}, b_indices{1, 0};
    const std::vector<double> a_data{1, 2, 5}, b_data{3, 4};
    return MatmulPlan<double, int>({2, 2, a_indptr, a_indices, a_data}, {2, 2, b_indptr, b_indices, b_data});
  };
  const MatmulPlan<double, int> plan = make();
  const std::vector<double> a{1, 2, 5}, b{3, 4}, other{1, 0, 0};
  std::vector<double> c(static_cast<std::size_t>(plan.nnz()));
  plan.execute(a, b, c);
  CHECK((c == std::vector<double>{8, 3, 20}));
  plan.execute(other, b, c);
  CHECK((c == std::vector<double>{0, 3, 0}));
  CHECK(plan.products() == 3 && plan.A_nnz() == 3 && plan.B_nnz() == 2);
  CHECK((std::vector<int>(plan.indices().begin(), plan.indices().end()) == std::vector<int>{0, 1, 0}));
}

TEST("a plan refuses values of another length, and operands that are no matrices") {
  auto A = random_matrix<double, int>(4, 4, 2, 6);
  const MatmulPlan<double, int> plan(A.view(), A.view());
  std::vector<double> c(static_cast<std::size_t>(plan.nnz())), few(7);
  CHECK_THROWS(plan.execute(few, A.data, c), std::invalid_argument, "A_data has 7 entries; A of the plan has 8");
  CHECK_THROWS(plan.execute(A.data, few, c), std::invalid_argument, "B_data has 7 entries; B of the plan has 8");
  c.push_back(0);
  CHECK_THROWS(plan.execute(A.data, A.data, c), std::invalid_argument, "C_data has");
  const auto wide = random_matrix<double, int>(5, 4, 1, 7);
  CHECK_THROWS((MatmulPlan<double, int>(A.view(), wide.view())), std::invalid_argument, "A is 4 x 4 but B is 5 x 4");
  A.indices[3] = 4;
  CHECK_THROWS((MatmulPlan<double, int>(A.view(), A.view())), std::invalid_argument,
               "MatmulPlan: A.indices has the column 4 at index 3");
}

TEST("a plan and its execution stop when they are told to") {
  const auto A = random_matrix<double, int>(3000, 3000, 300, 8);
  const KeepGoing stop = [](double) { return false; };
  CHECK_THROWS((MatmulPlan<double, int>(A.view(), A.view(), {}, {.keep_going = stop})), interrupted, "stopped");
  const MatmulPlan<double, int> plan(A.view(), A.view());
  CHECK_THROWS(static_cast<void>(plan.execute(A.data, A.data, {.n_threads = 2, .keep_going = stop})), interrupted,
               "stopped");
}

TEST("every allocation of a plan and of its execution may fail") {
  const auto A = random_matrix<double, int>(300, 100'000, 3, 9);
  const auto B = random_matrix<double, int>(100'000, 400'000, 2, 10);  // unsorted, with idle columns
  const auto expected = matmul(A.view(), B.view());
  for (const int threads : {1, 2})
    CHECK(check::count_survived_allocation_failures([&] {
            const MatmulPlan<double, int> plan(A.view(), B.view(), {}, {.n_threads = threads});
            if (!same_matrix(plan.execute(A.data, B.data, {.n_threads = threads}).view(), expected.view()))
              throw std::logic_error("wrong product");
          }) > 0);
}

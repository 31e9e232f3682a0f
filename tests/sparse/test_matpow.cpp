#include <vector>

#include "check.hpp"
#include "random_matrix.hpp"

using namespace nearlinear;

TEST("matpow is a sequence of squares and products, in every type") {
  const auto check = [](const auto& stored) {
    const auto A = sum_duplicates(stored.view());
    const auto square = matmul(A.view(), A.view());
    const auto fourth = matmul(square.view(), square.view());
    const auto cube = matmul(square.view(), A.view());
    CHECK(same_matrix(matpow(stored.view(), 1).view(), A.view()));
    for (const int threads : {1, 2, 4}) {
      const RunOptions run{.n_threads = threads};
      CHECK(same_matrix(matpow(stored.view(), 2, run).view(), square.view()));
      CHECK(same_matrix(matpow(stored.view(), 3, run).view(), cube.view()));
      CHECK(same_matrix(matpow(stored.view(), 5, run).view(), matmul(fourth.view(), A.view()).view()));
      CHECK(same_matrix(matpow(stored.view(), 6, run).view(), matmul(cube.view(), cube.view()).view()));
    }
  };
  check(random_matrix<float, std::int32_t>(100, 100, 3, 1));
  check(random_matrix<float, std::int64_t>(100, 100, 3, 2));
  check(random_matrix<double, std::int32_t>(100, 100, 3, 3));
  check(random_matrix<double, std::int64_t>(100, 100, 3, 4));
}

TEST("matpow of exponent 0 is the identity, and of the header's example walks") {
  const std::vector<int> indptr{0, 2, 3}, indices{0, 1, 1}, empty{0};
  const std::vector<double> data{1, 2, 5};
  const CsrView<double, int> A{2, 2, indptr, indices, data};
  const auto identity = matpow(A, 0), cube = matpow(A, 3);
  CHECK((std::vector<int>(identity.indices.begin(), identity.indices.end()) == std::vector<int>{0, 1}));
  CHECK((std::vector<double>(identity.data.begin(), identity.data.end()) == std::vector<double>{1, 1}));
  CHECK((std::vector<double>(cube.data.begin(), cube.data.end()) == std::vector<double>{1, 62, 125}));
  for (const Index k : {0, 1, 5}) CHECK(matpow(CsrView<double, int>{0, 0, empty, {}, {}}, k).nnz() == 0);
}

TEST("matpow refuses what has no powers, and stops when it is told to") {
  const auto wide = random_matrix<double, int>(4, 5, 2, 6), large = random_matrix<double, int>(2000, 2000, 300, 7);
  CHECK_THROWS(static_cast<void>(matpow(wide.view(), 2)), std::invalid_argument,
               "matpow: A is 4 x 5; it must be square");
  CHECK_THROWS(static_cast<void>(matpow(large.view(), -1)), std::invalid_argument, "matpow: k is -1");
  const KeepGoing stop = [](double) { return false; };
  CHECK_THROWS(static_cast<void>(matpow(large.view(), 2, {.keep_going = stop})), interrupted, "stopped");
}

TEST("every allocation of matpow may fail") {
  const auto A = random_matrix<double, int>(50, 50, 2, 9);
  const auto expected = matpow(A.view(), 3);
  CHECK(check::count_survived_allocation_failures([&] {
          if (!same_matrix(matpow(A.view(), 3).view(), expected.view())) throw std::logic_error("wrong power");
        }) > 0);
}

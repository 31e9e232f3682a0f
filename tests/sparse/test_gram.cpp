#include <vector>

#include "check.hpp"
#include "random_matrix.hpp"

using namespace nearlinear;

namespace {

template <class T, class I>
void check_types() {
  for (const GramMethod method : {GramMethod::half, GramMethod::whole, GramMethod::automatic})
    for (const Index per_row : {1, 2, 9, 40})
      for (const Index cols : {20, 500, 1'000'000}) {
        const auto stored = random_matrix<T, I>(300, cols, per_row, 1);
        const auto A = sum_duplicates(stored.view());
        const auto At = transpose_of(A.view());
        const auto right = matmul(A.view(), At.view());
        for (const int threads : {1, 2, 4}) {
          CHECK(
              same_matrix(gram(stored.view(), {GramSide::right, method}, {.n_threads = threads}).view(), right.view()));
          if (cols > 500) continue;
          const auto left = matmul(At.view(), A.view());
          CHECK(same_matrix(gram(stored.view(), {GramSide::left, method}, {.n_threads = threads}).view(), left.view()));
        }
      }
}

}  // namespace

TEST("gram has the bits of matmul with the transpose, on both sides and in every type") {
  check_types<float, std::int32_t>();
  check_types<float, std::int64_t>();
  check_types<double, std::int32_t>();
  check_types<double, std::int64_t>();
}

TEST("gram is the same in one block or in many") {
  const auto stored = random_matrix<double, int>(4000, 3000, 60, 3);  // some two million entries
  const auto A = sum_duplicates(stored.view());
  const auto expected = matmul(A.view(), transpose_of(A.view()).view());
  for (const int threads : {1, 2, 4})
    CHECK(same_matrix(gram(A.view(), {.method = GramMethod::half}, {.n_threads = threads}).view(), expected.view()));
}

TEST("gram is the same whether its matrix is transposed in one part or in many, at once or in steps") {
  const auto stored = random_matrix<double, int>(20, 200'000, 120'000, 4);
  const auto A = sum_duplicates(stored.view());
  CHECK(A.nnz() > 3 * (Index{1} << 19));
  const auto expected = matmul(A.view(), transpose_of(A.view()).view());
  for (const int threads : {1, 2, 4})
    for (const GramMethod method : {GramMethod::half, GramMethod::whole})
      CHECK(same_matrix(gram(A.view(), {.method = method}, {.n_threads = threads}).view(), expected.view()));
}

TEST("gram of the header's example, and of matrices with nothing in them") {
  const std::vector<int> indptr{0, 2, 3}, indices{0, 1, 1}, empty{0}, zeros{0, 0, 0};
  const std::vector<double> data{1, 2, 5};
  const auto C = gram(CsrView<double, int>{2, 2, indptr, indices, data});
  CHECK((std::vector<double>(C.data.begin(), C.data.end()) == std::vector<double>{5, 10, 10, 25}));
  for (const GramSide side : {GramSide::right, GramSide::left}) {
    CHECK(gram(CsrView<double, int>{0, 0, empty, {}, {}}, {side, GramMethod::half}).nnz() == 0);
    CHECK(gram(CsrView<double, int>{2, 5, zeros, {}, {}}, {side, GramMethod::half}).nnz() == 0);
  }
}

TEST("gram refuses what is no matrix, and stops when it is told to") {
  auto A = random_matrix<double, int>(2000, 2000, 400, 6);
  const KeepGoing stop = [](double) { return false; };
  CHECK_THROWS(static_cast<void>(gram(A.view(), {}, {.keep_going = stop})), interrupted, "stopped");
  A.indices[3] = 2000;
  CHECK_THROWS(static_cast<void>(gram(A.view())), std::invalid_argument, "gram: A.indices has the column 2000");
}

TEST("gram stops wherever it is told to, on any number of threads") {
  const auto stored = random_matrix<double, int>(3000, 3000, 600, 5);
  const auto A = sum_duplicates(stored.view());
  for (const int threads : {1, 2, 4})
    for (int last = 1;; last *= 4) {
      int asked = 0;
      const KeepGoing stop = [&](double fraction) {
        CHECK(fraction >= 0 && fraction <= 1);
        return ++asked < last;
      };
      const RunOptions run{.n_threads = threads, .keep_going = stop};
      try {
        static_cast<void>(gram(A.view(), {.method = GramMethod::half}, run));
        CHECK(asked > 0 && asked < last);
        break;
      } catch (const interrupted&) {
        CHECK(asked == last);
      }
    }
}

TEST("every allocation of gram may fail") {
  const auto A = random_matrix<double, int>(500, 200'000, 4, 9);
  const auto expected = gram(A.view(), {.method = GramMethod::whole});
  CHECK(check::count_survived_allocation_failures([&] {
          if (!same_matrix(gram(A.view(), {.method = GramMethod::half}, {.n_threads = 2}).view(), expected.view()))
            throw std::logic_error("wrong product");
        }) > 0);
}

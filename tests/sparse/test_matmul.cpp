#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "check.hpp"
#include "nearlinear/sparse.hpp"
#include "random_matrix.hpp"
#include "sparse/tokens.hpp"

using namespace nearlinear;

namespace {

/// The definition, in double: row by row, a table from column to sum.
template <class T, class I>
bool agrees_with_definition(const CsrView<T, I>& A, const CsrView<T, I>& B, const CsrView<T, I>& C, double tolerance) {
  if (C.rows != A.rows || C.cols != B.cols) return false;
  const auto at = [](auto span, auto i) { return span[static_cast<std::size_t>(i)]; };
  for (Index i = 0; i < A.rows; ++i) {
    std::map<I, double> row;
    for (I j = at(A.indptr, i); j < at(A.indptr, i + 1); ++j) {
      const I k = at(A.indices, j);
      for (I q = at(B.indptr, k); q < at(B.indptr, k + 1); ++q)
        row[at(B.indices, q)] += static_cast<double>(at(A.data, j)) * static_cast<double>(at(B.data, q));
    }
    I place = at(C.indptr, i);
    if (static_cast<std::size_t>(at(C.indptr, i + 1) - place) != row.size()) return false;
    for (const auto& [column, sum] : row) {
      if (at(C.indices, place) != column) return false;
      if (std::abs(static_cast<double>(at(C.data, place)) - sum) > tolerance) return false;
      ++place;
    }
  }
  return true;
}

template <class T, class I>
bool same(const CsrMatrix<T, I>& A, const CsrMatrix<T, I>& B) {
  return std::equal(A.indptr.begin(), A.indptr.end(), B.indptr.begin(), B.indptr.end()) &&
         std::equal(A.indices.begin(), A.indices.end(), B.indices.begin(), B.indices.end()) &&
         std::equal(A.data.begin(), A.data.end(), B.data.begin(), B.data.end());
}

template <class T, class I>
void check_types() {
  const double tolerance = 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Index per_row : {1, 2, 4, 9})
    for (const Accumulator accumulator : {Accumulator::automatic, Accumulator::dense, Accumulator::hash}) {
      const auto A = random_matrix<T, I>(300, 200, per_row, 1);
      const auto B = random_matrix<T, I>(200, 500, per_row, 2);
      const auto C = matmul(A.view(), B.view(), {.accumulator = accumulator});
      CHECK(agrees_with_definition(A.view(), B.view(), C.view(), tolerance));
    }
}

/// A full first row and a diagonal: the first row of the square has two thirds of all products.
TestMatrix<double, int> full_first_row(Index n) {
  TestMatrix<double, int> parts{n, n, {0}, {}, {}};
  for (Index i = 0; i < n; ++i) {
    for (Index j = i == 0 ? 0 : i; j < (i == 0 ? n : i + 1); ++j) {
      parts.indices.push_back(static_cast<int>(j));
      parts.data.push_back(static_cast<double>(j % 7) - 3);
    }
    parts.indptr.push_back(static_cast<int>(parts.indices.size()));
  }
  return parts;
}

}  // namespace

TEST("matmul agrees with its definition in every type") {
  check_types<float, std::int32_t>();
  check_types<float, std::int64_t>();
  check_types<double, std::int32_t>();
  check_types<double, std::int64_t>();
}

TEST("matmul gives the same bits for every number of threads and accumulator") {
  const auto A = random_matrix<double, int>(4000, 4000, 20, 3);
  const auto expected = matmul(A.view(), A.view(), {}, {.n_threads = 1});
  for (const int threads : {2, 3, 8})
    for (const Accumulator accumulator : {Accumulator::dense, Accumulator::hash})
      CHECK(same(matmul(A.view(), A.view(), {.accumulator = accumulator}, {.n_threads = threads}), expected));
}

TEST("a row that others would wait for is cut by columns, and its sums stay as they are") {
  constexpr Index n = 200'000;
  const auto A = full_first_row(n);
  Monitor monitor{KeepGoing{}};
  const auto cut = sparse::cut_tokens(A.view(), A.view(), Index{0}, 4, monitor);
  CHECK(cut.products == 3 * n - 2);
  CHECK(cut.list.front().col_end < n);
  CHECK(sparse::cut_tokens(A.view(), A.view(), Index{0}, 1, monitor).list.front().all_columns);

  const auto expected = matmul(A.view(), A.view(), {}, {.n_threads = 1});
  for (const Accumulator accumulator : {Accumulator::dense, Accumulator::hash})
    CHECK(same(matmul(A.view(), A.view(), {.accumulator = accumulator}, {.n_threads = 4}), expected));
}

TEST("tokens cover every row once, in order") {
  const auto A = random_matrix<double, int>(50'000, 300, 3, 4);
  const auto B = random_matrix<double, int>(300, 1000, 40, 5);
  Monitor monitor{KeepGoing{}};
  const auto tokens = sparse::cut_tokens(A.view(), B.view(), Index{0}, 2, monitor);
  Index row = 0, products = 0;
  for (const auto& token : tokens.list) {
    CHECK(token.row_begin == row);
    row = token.row_end;
    products += token.products;
  }
  CHECK(row == A.rows);
  CHECK(products == tokens.products && products == Index{50'000} * 3 * 40);
  CHECK(tokens.list.size() > 100);
}

TEST("more products than an Index can count are an overflow_error") {
  constexpr std::int64_t many = std::int64_t{1} << 61;  // no memory holds such a B: only its indptr is looked at
  const std::vector<std::int64_t> a_indptr{0, 4}, a_indices{0, 0, 0, 0}, b_indptr{0, many};
  const std::vector<double> a_data(4, 1.0);
  Monitor monitor{KeepGoing{}};
  CHECK_THROWS(static_cast<void>(sparse::cut_tokens<double, std::int64_t>({1, 1, a_indptr, a_indices, a_data},
                                                                          {1, 5, b_indptr, {}, {}}, 0, 1, monitor)),
               std::overflow_error, "does not fit");
}

TEST("matmul of the header's example") {
  const std::vector<int> a_indptr{0, 2, 3}, a_indices{0, 1, 1}, b_indptr{0, 1, 2}, b_indices{1, 0};
  const std::vector<double> a_data{1, 2, 5}, b_data{3, 4};
  const CsrView<double, int> A{2, 2, a_indptr, a_indices, a_data};
  const CsrView<double, int> B{2, 2, b_indptr, b_indices, b_data};
  const auto C = matmul(A, B);
  CHECK((std::vector<double>(C.data.begin(), C.data.end()) == std::vector<double>{8, 3, 20}));
  CHECK((std::vector<int>(C.indices.begin(), C.indices.end()) == std::vector<int>{0, 1, 0}));
  CHECK(matmul_any_size(A, B).index() == 0);  // 32 bits
}

TEST("matmul refuses what is no matrix, and says what is wrong") {
  const auto good = random_matrix<double, int>(4, 4, 2, 6);
  const auto check = [&](auto change, const char* message) {
    auto bad = good;
    change(bad);
    for (const bool first : {true, false}) {
      const auto& A = first ? bad : good;
      const auto& B = first ? good : bad;
      const std::string text =
          check::message_of<std::invalid_argument>([&] { static_cast<void>(matmul(A.view(), B.view())); });
      CHECK(text.find(message) != std::string::npos && text.find(first ? "A" : "B") != std::string::npos);
    }
  };
  check([](auto& p) { p.indices[3] = 4; }, "has the column 4 at index 3");
  check([](auto& p) { p.indices[3] = -1; }, "has the column -1 at index 3");
  check([](auto& p) { p.indptr[2] = 1; }, "decreases from 2 to 1 at index 2");
  check([](auto& p) { p.indptr[0] = 1; }, "begins with 1");
  check([](auto& p) { p.indptr.pop_back(); }, "has 4 entries; with 4 rows it must have 5");
  check([](auto& p) { p.indices.pop_back(); }, "ends with 8");
  check([](auto& p) { p.data.pop_back(); }, "ends with 8");
  check([](auto& p) { p.rows = -1; }, "negative shape -1 x 4");
  check([](auto& p) { p.cols = Index{1} << 40; }, "more than its index type can number");
  const auto wide = random_matrix<double, int>(4, 5, 1, 7);
  CHECK_THROWS(static_cast<void>(matmul(wide.view(), wide.view())), std::invalid_argument, "A is 4 x 5 but B is 4 x 5");
}

TEST("require_valid_csr tells whether rows increase strictly") {
  TestMatrix<double, int> matrix{3, 4, {0, 2, 2, 4}, {1, 3, 0, 2}, {1, 1, 1, 1}};
  CHECK(require_valid_csr(matrix.view(), "f", "A"));
  matrix.indices = {1, 1, 0, 2};
  CHECK(!require_valid_csr(matrix.view(), "f", "A"));
  matrix.indices = {1, 3, 2, 0};
  CHECK(!require_valid_csr(matrix.view(), "f", "A"));
  CHECK(require_valid_csr(TestMatrix<double, int>{0, 0, {0}, {}, {}}.view(), "f", "A"));
}

TEST("sum_duplicates sorts rows and sums in the stored order") {
  const TestMatrix<double, int> matrix{3, 4, {0, 4, 4, 6}, {3, 1, 3, 0, 2, 2}, {1, 2, 4, 8, 0.5, -0.5}};
  const auto summed = sum_duplicates(matrix.view());
  CHECK((std::vector<int>(summed.indptr.begin(), summed.indptr.end()) == std::vector<int>{0, 3, 3, 4}));
  CHECK((std::vector<int>(summed.indices.begin(), summed.indices.end()) == std::vector<int>{0, 1, 3, 2}));
  CHECK((std::vector<double>(summed.data.begin(), summed.data.end()) == std::vector<double>{8, 2, 5, 0}));
}

TEST("matmul stops within 200 ms when it is told to, on any number of threads") {
  const auto A = random_matrix<double, int>(3000, 3000, 400, 8);
  for (const int threads : {1, 2, 4}) {
    int asked = 0;
    const KeepGoing stop = [&](double fraction) {
      CHECK(fraction >= 0 && fraction <= 1);
      return ++asked < 3;
    };
    CHECK_THROWS(static_cast<void>(matmul(A.view(), A.view(), {}, {.n_threads = threads, .keep_going = stop})),
                 interrupted, "stopped");
    CHECK(asked == 3);
  }
}

TEST("every allocation of matmul may fail, on one thread or more, and nobody waits for ever") {
  const auto A = random_matrix<double, int>(2000, 2000, 12, 9);  // unsorted, so that B is repaired too
  const auto sorted = sum_duplicates(A.view());
  const auto expected = matmul(A.view(), A.view());
  for (const int threads : {1, 2, 4})
    for (const Accumulator accumulator : {Accumulator::dense, Accumulator::hash})
      for (const auto& B : {A.view(), sorted.view()}) {
        const long failures = check::count_survived_allocation_failures([&] {
          if (!same(matmul(A.view(), B, {.accumulator = accumulator}, {.n_threads = threads}), expected))
            throw std::logic_error("wrong product");
        });
        CHECK(failures > 0);
      }
}

#include <vector>

#include "check.hpp"
#include "nearlinear/sparse.hpp"

using namespace nearlinear;

namespace {

const std::vector<int> indptr{0, 2, 3}, indices{0, 1, 1};
const std::vector<double> data{1, 2, 5};
const CsrView<double, int> A{2, 2, indptr, indices, data};
const std::vector<double> dense{1, 2, 3, 4, 5, 6};

}  // namespace

TEST("matmul of a sparse and a dense matrix") {
  std::vector<double> c(6, -1);
  matmul(A, MatrixView<const double>(dense.data(), 2, 3), MatrixView<double>(c.data(), 2, 3));
  CHECK(c == std::vector<double>({9, 12, 15, 20, 25, 30}));
  matmul(MatrixView<const double>(dense.data(), 3, 2), A, MatrixView<double>(c.data(), 3, 2));
  CHECK(c == std::vector<double>({1, 12, 3, 26, 5, 40}));
}

TEST("rows of dense factors may lie apart") {
  std::vector<double> c(8, -1);
  matmul(A, MatrixView<const double>(dense.data(), 2, 1, 3), MatrixView<double>(c.data(), 2, 1, 4));
  CHECK(c == std::vector<double>({9, -1, -1, -1, 20, -1, -1, -1}));
  matmul(MatrixView<const double>(dense.data(), 2, 2, 3), A, MatrixView<double>(c.data(), 2, 2, 4));
  CHECK(c == std::vector<double>({1, 12, -1, -1, 4, 33, -1, -1}));
}

TEST("dense factors without rows or columns") {
  std::vector<double> c;
  matmul(A, MatrixView<const double>(nullptr, 2, 0), MatrixView<double>(nullptr, 2, 0));
  matmul(MatrixView<const double>(nullptr, 0, 2), A, MatrixView<double>(nullptr, 0, 2));
  const std::vector<int> no_rows{0};
  const CsrView<double, int> empty{0, 2, no_rows, {}, {}};
  c.assign(4, -1);
  matmul(MatrixView<const double>(nullptr, 2, 0), empty, MatrixView<double>(c.data(), 2, 2));
  CHECK(c == std::vector<double>(4, 0));
}

TEST("matmul of a dense matrix refuses what does not fit") {
  std::vector<double> c(6);
  const MatrixView<double> C(c.data(), 2, 3);
  CHECK_THROWS(matmul(A, MatrixView<const double>(dense.data(), 3, 2), C), std::invalid_argument,
               "matmul: A is 2 x 2 but B is 3 x 2");
  CHECK_THROWS(matmul(MatrixView<const double>(dense.data(), 2, 3), A, C), std::invalid_argument,
               "matmul: A is 2 x 3 but B is 2 x 2");
  CHECK_THROWS(matmul(A, MatrixView<const double>(dense.data(), 2, 2), C), std::invalid_argument,
               "matmul: A B is 2 x 2 but C is 2 x 3");
  CHECK_THROWS(matmul(MatrixView<const double>(dense.data(), 2, 2), A, C), std::invalid_argument,
               "matmul: A B is 2 x 2 but C is 2 x 3");
  const std::vector<int> bad{0, 1, 2};
  CHECK_THROWS(matmul(CsrView<double, int>{2, 2, indptr, bad, data}, MatrixView<const double>(dense.data(), 2, 3), C),
               std::invalid_argument, "A.indices has the column 2");
}

TEST("matmul of a dense matrix stops when it is told to") {
  constexpr Index n = 2000;
  std::vector<int> full_indptr(n + 1), full_indices(n * n);
  for (Index i = 0; i < n * n; ++i) full_indices[static_cast<std::size_t>(i)] = static_cast<int>(i % n);
  for (Index i = 0; i <= n; ++i) full_indptr[static_cast<std::size_t>(i)] = static_cast<int>(i * n);
  const std::vector<double> ones(n * n, 1.0);
  const CsrView<double, int> full{n, n, full_indptr, full_indices, ones};
  std::vector<double> c(n * n);
  const RunOptions run{.n_threads = 2, .keep_going = [](double) { return false; }};
  CHECK_THROWS(matmul(full, MatrixView<const double>(ones.data(), n, n), MatrixView<double>(c.data(), n, n), run),
               interrupted, "stopped");
  CHECK_THROWS(matmul(MatrixView<const double>(ones.data(), n, n), full, MatrixView<double>(c.data(), n, n), run),
               interrupted, "stopped");
}

#include <vector>

#include "check.hpp"
#include "nearlinear/eigen.hpp"
#include "random_matrix.hpp"

using namespace nearlinear;

namespace {

template <int Options, class T = double, class I = int>
Eigen::SparseMatrix<T, Options, I> random_sparse(Index rows, Index cols, std::uint64_t seed) {
  const auto source = random_matrix<T, I>(rows, cols, 5, seed);
  std::vector<Eigen::Triplet<T, I>> entries;
  for (Index i = 0; i < rows; ++i)
    for (Index e = 5 * i; e < 5 * i + 5; ++e)
      entries.emplace_back(static_cast<I>(i), source.indices[static_cast<std::size_t>(e)],
                           source.data[static_cast<std::size_t>(e)]);
  Eigen::SparseMatrix<T, Options, I> matrix(rows, cols);
  matrix.setFromTriplets(entries.begin(), entries.end());
  return matrix;
}

template <int Options, class T, class I>
void check_product() {
  const auto A = random_sparse<Options, T, I>(60, 80, 1);
  const auto B = random_sparse<Options, T, I>(80, 70, 2);
  const Eigen::SparseMatrix<T, Options, I> C = matmul(A, B), expected = A * B;
  CHECK(C.isCompressed() && C.rows() == 60 && C.cols() == 70 && C.nonZeros() == expected.nonZeros());
  CHECK((C - expected).norm() <= 100 * std::numeric_limits<T>::epsilon() * expected.norm());
  for (Index outer = 0; outer < C.outerSize(); ++outer)
    for (auto e = C.outerIndexPtr()[outer]; e + 1 < C.outerIndexPtr()[outer + 1]; ++e)
      CHECK(C.innerIndexPtr()[e] < C.innerIndexPtr()[e + 1]);
}

}  // namespace

TEST("matmul of Eigen's sparse matrices, by rows and by columns, in every type") {
  check_product<Eigen::RowMajor, float, std::int32_t>();
  check_product<Eigen::ColMajor, float, std::int32_t>();
  check_product<Eigen::RowMajor, double, std::int32_t>();
  check_product<Eigen::ColMajor, double, std::int32_t>();
  check_product<Eigen::RowMajor, double, std::int64_t>();
  check_product<Eigen::ColMajor, double, std::int64_t>();
}

TEST("views of Eigen's sparse matrices are the same memory") {
  const auto by_rows = random_sparse<Eigen::RowMajor>(6, 8, 3);
  const CsrView<double, int> rows = view(by_rows);
  CHECK(rows.rows == 6 && rows.cols == 8 && rows.data.data() == by_rows.valuePtr() && rows.nnz() == by_rows.nonZeros());
  const auto by_columns = random_sparse<Eigen::ColMajor>(6, 8, 3);
  const CsrView<double, int> columns = transposed_view(by_columns);
  CHECK(columns.rows == 8 && columns.cols == 6 && columns.indices.data() == by_columns.innerIndexPtr());
  CHECK((Eigen::SparseMatrix<double, Eigen::RowMajor>(by_columns) - as_eigen_sparse<Eigen::RowMajor>(rows)).norm() ==
        0);
}

// A matrix that is being filled has gaps between its rows, which a view would take for entries.
TEST("a sparse matrix of Eigen's that is not compressed is refused, with the remedy in the message") {
  auto A = random_sparse<Eigen::RowMajor>(8, 8, 4);
  const auto B = A;
  A.coeffRef(0, 0) += 1;  // as a rule a new entry
  A.uncompress();
  CHECK_THROWS(static_cast<void>(view(A)), std::invalid_argument,
               "view: matrix is a 8 x 8 Eigen::SparseMatrix that is not compressed; call makeCompressed()");
  CHECK_THROWS(static_cast<void>(matmul(A, B)), std::invalid_argument, "matmul: A is a 8 x 8");
  CHECK_THROWS(static_cast<void>(matmul(B, A)), std::invalid_argument, "matmul: B is a 8 x 8");
  A.makeCompressed();
  CHECK((matmul(A, B) - Eigen::SparseMatrix<double, Eigen::RowMajor>(A * B)).norm() < 1e-12);
}

TEST("shapes that do not match are shown as Eigen has them, by rows or by columns") {
  const auto A = random_sparse<Eigen::ColMajor>(5, 7, 5);
  CHECK_THROWS(static_cast<void>(matmul(A, A)), std::invalid_argument, "matmul: A is 5 x 7 but B is 5 x 7");
  const Eigen::SparseMatrix<double> nothing(0, 0);
  CHECK(matmul(nothing, nothing).nonZeros() == 0);
}

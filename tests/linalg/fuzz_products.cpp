// Any bytes make matrices of small integers, whose products are exact: they must be what the definitions give.
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "linalg/fuzz_inputs.hpp"
#include "nearlinear/linalg/products.hpp"

namespace {

using nearlinear::Index;
using nearlinear::MatrixView;
using nearlinear::Transpose;

using nearlinear::test::FuzzInput;
using Matrix = nearlinear::test::FuzzMatrix;

Matrix small_integers(FuzzInput& read, Index rows, Index cols) {
  Matrix matrix(rows, cols, read() % 3);
  for (double& entry : matrix.storage) entry = static_cast<double>(read() % 16) - 7;
  return matrix;
}

double entry(const Matrix& matrix, Transpose op, Index i, Index j) {
  return op == Transpose::no ? matrix.view()(i, j) : matrix.view()(j, i);
}

void require_equal(double a, double b) {
  if (a != b) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  FuzzInput read{data, size};
  const Index m = read() % 40, n = read() % 40, k = read() % 40;
  const Transpose op_a = read() % 2 == 0 ? Transpose::no : Transpose::yes;
  const Transpose op_b = read() % 2 == 0 ? Transpose::no : Transpose::yes;
  const double alpha = read() % 5 - 2, beta = read() % 3 - 1;
  const Matrix A = op_a == Transpose::no ? small_integers(read, m, k) : small_integers(read, k, m);
  const Matrix B = op_b == Transpose::no ? small_integers(read, k, n) : small_integers(read, n, k);
  const Matrix before = small_integers(read, m, n);

  Matrix C = before;
  nearlinear::gemm(alpha, A.view(), op_a, B.view(), op_b, beta, C.view());
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      double sum = beta * before.view()(i, j);
      for (Index p = 0; p < k; ++p) sum += alpha * entry(A, op_a, i, p) * entry(B, op_b, p, j);
      require_equal(std::as_const(C).view()(i, j), sum);
    }

  std::vector<double> gram(static_cast<std::size_t>(A.cols * A.cols));
  nearlinear::gram(A.view(), MatrixView<double>(gram.data(), A.cols, A.cols));
  for (Index i = 0; i < A.cols; ++i)
    for (Index j = 0; j < A.cols; ++j) {
      double sum = 0;
      for (Index p = 0; p < A.rows; ++p) sum += A.view()(p, i) * A.view()(p, j);
      require_equal(gram[static_cast<std::size_t>(i * A.cols + j)], sum);
    }
  return 0;
}

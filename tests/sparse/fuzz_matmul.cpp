// Any bytes make matrices, valid or not: their product must be refused or be right.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "fuzz_input.hpp"

namespace {

using nearlinear::Index;
using Matrix = FuzzedMatrix<float, std::int32_t>;

std::vector<float> dense_product(const Matrix& A, const Matrix& B) {
  const std::vector<float> a = A.dense(), b = B.dense();
  std::vector<float> product(static_cast<std::size_t>(A.rows * B.cols));
  const auto n = static_cast<std::size_t>(A.rows), inner = static_cast<std::size_t>(A.cols);
  const auto m = static_cast<std::size_t>(B.cols);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < inner; ++k)
      for (std::size_t j = 0; j < m; ++j) product[i * m + j] += a[i * inner + k] * b[k * m + j];
  return product;
}

void check_product(const Matrix& A, const Matrix& B, const nearlinear::CsrMatrix<float, std::int32_t>& C) {
  require_that(nearlinear::require_valid_csr(C.view(), "fuzz", "C"));
  std::vector<float> difference = dense_product(A, B);
  for (Index i = 0; i < C.rows; ++i)
    for (Index e = C.indptr[i]; e < C.indptr[i + 1]; ++e)
      difference[static_cast<std::size_t>(i * C.cols) + static_cast<std::size_t>(C.indices[e])] -= C.data[e];
  for (const float entry : difference) require_that(entry == 0);
}

/// One factor as a dense matrix, then the other; both are valid here.
void check_dense_factors(const Matrix& A, const Matrix& B) {
  using nearlinear::MatrixView;
  const std::vector<float> a = A.dense(), b = B.dense(), expected = dense_product(A, B);
  std::vector<float> product(expected.size(), -1);
  const MatrixView<float> C(product.data(), A.rows, B.cols);
  nearlinear::matmul(A.view(), MatrixView<const float>(b.data(), B.rows, B.cols), C);
  require_that(product == expected);
  std::fill(product.begin(), product.end(), -1.0F);
  nearlinear::matmul(MatrixView<const float>(a.data(), A.rows, A.cols), B.view(), C);
  require_that(product == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader read{data, size};
  const Index n = read() % 20, k = read() % 20, m = read() % 3 == 0 ? read() % 4 : 60 + read() % 200;
  const Matrix A(read, n, k), B(read, k, m);
  const auto accumulator = static_cast<nearlinear::Accumulator>(read() % 4);
  check_or_refuse(A.valid() && B.valid(), [&] {
    check_product(A, B, nearlinear::matmul(A.view(), B.view(), {.accumulator = accumulator}));
    check_dense_factors(A, B);
  });
  return 0;
}

// Any bytes make two matrices, valid or not: the product must be refused or be right.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "nearlinear/sparse.hpp"

namespace {

using nearlinear::CsrView;
using nearlinear::Index;

/// Reads bytes from the input, and 0 behind its end.
struct Reader {
  const std::uint8_t* data;
  std::size_t size;
  std::size_t next = 0;
  std::uint8_t operator()() { return next < size ? data[next++] : std::uint8_t{0}; }
};

/// Exactly as large as the view: AddressSanitizer sees a step beyond it. Small integers: the arithmetic is exact.
struct Matrix {
  Index rows, cols;
  std::vector<std::int32_t> indptr, indices;
  std::vector<float> data;

  Matrix(Reader& read, Index row_count, Index col_count) : rows(row_count), cols(col_count) {
    const bool broken = read() % 8 == 0;
    const int longest_row = 1 + read() % 16;
    indptr.push_back(0);
    for (Index i = 0; i < rows; ++i) {
      const int length = cols == 0 ? 0 : read() % longest_row;
      for (int e = 0; e < length; ++e) {
        indices.push_back(static_cast<std::int32_t>((read() * 7 + read()) % cols));
        data.push_back(static_cast<float>(read() % 16) - 7);
      }
      indptr.push_back(static_cast<std::int32_t>(indices.size()));
    }
    if (!broken) return;
    const std::int32_t rubbish = read() - 100;
    if (read() % 2 == 0 && !indices.empty())
      indices[read() % indices.size()] = rubbish;
    else
      indptr[read() % indptr.size()] = rubbish;
  }

  [[nodiscard]] CsrView<float, std::int32_t> view() const { return {rows, cols, indptr, indices, data}; }
  [[nodiscard]] std::vector<float> dense() const {
    std::vector<float> result(static_cast<std::size_t>(rows * cols));
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i)
      for (auto e = static_cast<std::size_t>(indptr[i]); e < static_cast<std::size_t>(indptr[i + 1]); ++e)
        result[i * static_cast<std::size_t>(cols) + static_cast<std::size_t>(indices[e])] += data[e];
    return result;
  }
};

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
  if (!nearlinear::require_valid_csr(C.view(), "fuzz", "C")) std::abort();
  std::vector<float> difference = dense_product(A, B);
  for (Index i = 0; i < C.rows; ++i)
    for (Index e = C.indptr[i]; e < C.indptr[i + 1]; ++e)
      difference[static_cast<std::size_t>(i * C.cols) + static_cast<std::size_t>(C.indices[e])] -= C.data[e];
  for (const float entry : difference)
    if (entry != 0) std::abort();
}

/// One factor as a dense matrix, then the other; both are valid here.
void check_dense_factors(const Matrix& A, const Matrix& B) {
  using nearlinear::MatrixView;
  const std::vector<float> a = A.dense(), b = B.dense(), expected = dense_product(A, B);
  std::vector<float> product(expected.size(), -1);
  const MatrixView<float> C(product.data(), A.rows, B.cols);
  nearlinear::matmul(A.view(), MatrixView<const float>(b.data(), B.rows, B.cols), C);
  if (product != expected) std::abort();
  std::fill(product.begin(), product.end(), -1.0F);
  nearlinear::matmul(MatrixView<const float>(a.data(), A.rows, A.cols), B.view(), C);
  if (product != expected) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader read{data, size};
  const Index n = read() % 20, k = read() % 20, m = read() % 3 == 0 ? read() % 4 : 60 + read() % 200;
  const Matrix A(read, n, k), B(read, k, m);
  const auto accumulator = static_cast<nearlinear::Accumulator>(read() % 3);
  try {
    check_product(A, B, nearlinear::matmul(A.view(), B.view(), {.accumulator = accumulator}));
    check_dense_factors(A, B);
  } catch (const std::invalid_argument&) {
    bool valid = true;
    for (const Matrix* matrix : {&A, &B}) {
      for (std::size_t i = 0; i + 1 < matrix->indptr.size(); ++i)
        valid = valid && matrix->indptr[i] <= matrix->indptr[i + 1];
      for (const std::int32_t column : matrix->indices) valid = valid && column >= 0 && column < matrix->cols;
      valid = valid && matrix->indptr.front() == 0 &&
              static_cast<std::size_t>(matrix->indptr.back()) <= matrix->indices.size();
    }
    if (valid) std::abort();
  }
  return 0;
}

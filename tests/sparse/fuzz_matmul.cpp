// Any bytes make matrices, valid or not: their product must be refused or be right, under a mask and over a semiring,
// too.
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
  [[nodiscard]] std::vector<char> stored() const {
    std::vector<char> result(static_cast<std::size_t>(rows * cols));
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i)
      for (auto e = static_cast<std::size_t>(indptr[i]); e < static_cast<std::size_t>(indptr[i + 1]); ++e)
        result[i * static_cast<std::size_t>(cols) + static_cast<std::size_t>(indices[e])] = 1;
    return result;
  }
  [[nodiscard]] bool valid() const {
    for (std::size_t i = 0; i + 1 < indptr.size(); ++i)
      if (indptr[i] > indptr[i + 1]) return false;
    for (const std::int32_t column : indices)
      if (column < 0 || column >= cols) return false;
    return indptr.front() == 0 && static_cast<std::size_t>(indptr.back()) <= indices.size();
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

nearlinear::CsrMatrix<float, std::int32_t> masked_product(const Matrix& A, const Matrix& B, const Matrix& C0,
                                                          const Matrix& M, bool complement,
                                                          nearlinear::Accumulator accumulator) {
  nearlinear::SemiringOptions<float, std::int32_t> options{.accum = C0.view(), .matmul = {.accumulator = accumulator}};
  options.mask = {.places = {M.rows, M.cols, M.indptr, M.indices, {}}, .complement = complement};
  return nearlinear::matmul(nearlinear::PlusPair<float>{}, A.view(), B.view(), options);
}

/// Pairs of entries, counted, in the places that the mask allows and C_0 has or they fall on.
void check_masked(const Matrix& A, const Matrix& B, const Matrix& C0, const Matrix& M, bool complement,
                  nearlinear::Accumulator accumulator) {
  const std::vector<char> a = A.stored(), b = B.stored(), m = M.stored(), c0 = C0.stored();
  std::vector<float> expected = C0.dense();
  std::vector<char> stored = c0;
  const auto inner = static_cast<std::size_t>(A.cols), cols = static_cast<std::size_t>(B.cols);
  for (std::size_t place = 0; place < expected.size(); ++place) {
    for (std::size_t k = 0; k < inner; ++k)
      if (a[place / cols * inner + k] != 0 && b[k * cols + place % cols] != 0) {
        expected[place] += 1;
        stored[place] = 1;
      }
    if ((m[place] != 0) == complement) stored[place] = 0;
  }
  const auto C = masked_product(A, B, C0, M, complement, accumulator);
  if (!nearlinear::require_valid_csr(C.view(), "fuzz", "C")) std::abort();
  for (Index i = 0; i < C.rows; ++i)
    for (Index e = C.indptr[i]; e < C.indptr[i + 1]; ++e) {
      const auto place = static_cast<std::size_t>(i) * cols + static_cast<std::size_t>(C.indices[e]);
      if (stored[place] != 1 || C.data[e] != expected[place]) std::abort();
      stored[place] = 2;
    }
  if (std::find(stored.begin(), stored.end(), char{1}) != stored.end()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader read{data, size};
  const Index n = read() % 20, k = read() % 20, m = read() % 3 == 0 ? read() % 4 : 60 + read() % 200;
  const Matrix A(read, n, k), B(read, k, m);
  const auto accumulator = static_cast<nearlinear::Accumulator>(read() % 4);
  try {
    check_product(A, B, nearlinear::matmul(A.view(), B.view(), {.accumulator = accumulator}));
    check_dense_factors(A, B);
  } catch (const std::invalid_argument&) {
    if (A.valid() && B.valid()) std::abort();
  }
  const Matrix C0(read, n, m), M(read, n, m);
  const bool complement = read() % 2 == 1;
  if (A.valid() && B.valid() && C0.valid() && M.valid()) {
    check_masked(A, B, C0, M, complement, accumulator);
    return 0;
  }
  try {
    static_cast<void>(masked_product(A, B, C0, M, complement, accumulator));
    std::abort();
  } catch (const std::invalid_argument&) {  // as it must be
  }
  return 0;
}

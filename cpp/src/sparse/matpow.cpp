// Powers by repeated squaring, from the highest bit of the exponent on: what is multiplied with is A itself, which is
// sparser than its powers.
#include "nearlinear/sparse/matpow.hpp"

#include <algorithm>
#include <bit>

#include "sparse/multiply.hpp"
#include "sparse/stages.hpp"

namespace nearlinear {
namespace {

template <class T, class I>
CsrMatrix<T, I> identity(Index n) {
  CsrMatrix<T, I> result{n, n, Array<I>(n + 1), Array<I>(n), Array<T>(n)};
  for (Index i = 0; i < n; ++i) {
    result.indptr[i] = result.indices[i] = static_cast<I>(i);
    result.data[i] = 1;
  }
  result.indptr[n] = static_cast<I>(n);
  return result;
}

}  // namespace

template <class T, class I>
CsrMatrix<T, I> matpow(const CsrView<T, I>& A, Index k, const RunOptions& run) {
  require_valid_csr(A, "matpow", "A", run);
  require(A.rows == A.cols, "matpow: A is ", Shape{A.rows, A.cols}, "; it must be square");
  require(k >= 0, "matpow: k is ", k, "; it must not be negative");
  if (k == 0) return identity<T, I>(A.rows);
  CsrMatrix<T, I> base = sum_duplicates(A, run);
  if (k == 1) return base;

  const auto exponent = static_cast<std::make_unsigned_t<Index>>(k);
  const int squarings = static_cast<int>(std::bit_width(exponent)) - 1;
  CsrMatrix<T, I> power;
  for (int done = 0; done < squarings; ++done) {
    const double begin = static_cast<double>(done) / squarings, end = static_cast<double>(done + 1) / squarings;
    const bool odd = ((exponent >> (squarings - done - 1)) & 1) != 0;
    const CsrView<T, I> half = done == 0 ? base.view() : power.view();
    power = sparse::multiply(half, half, sparse::stage(run, begin, odd ? (begin + end) / 2 : end));
    if (odd) power = sparse::multiply(power.view(), base.view(), sparse::stage(run, (begin + end) / 2, end));
  }
  return power;
}

#define NEARLINEAR_INSTANTIATE(T, I) template CsrMatrix<T, I> matpow(const CsrView<T, I>&, Index, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

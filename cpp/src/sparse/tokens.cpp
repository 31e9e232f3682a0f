#include "sparse/tokens.hpp"

#include "sparse/sample.hpp"

namespace nearlinear::sparse {
template <class T, class I>
Tokens cut_tokens(const CsrView<T, I>& A, const CsrView<T, I>& B, Index top_k, int n_threads, Monitor& monitor) {
  const Index most_per_row = top_k == 0 ? B.cols : top_k;
  const int counting = thread_count(n_threads, 2 * (A.nnz() + A.rows));
  Tokens tokens = cut_rows(A.rows, B.cols, counting, monitor, [&](Index row) {
    const Index products = products_of_row(A, B, row), entries = std::min(products, B.cols);
    return detail::RowBound{products, entries, std::min(entries, most_per_row)};
  });
  tokens.threads = thread_count(n_threads, checked_sum(checked_product(4, tokens.products), 10 * A.rows));

  // A row is worth cutting when it is long in itself and a good part of what each thread has to do.
  const Index long_row = std::max(least_long_row, tokens.products / (Index{8} * tokens.threads));
  cut_long_rows(tokens, top_k == 0 && tokens.threads > 1, long_row, [&](Index) { return Index{4} * tokens.threads; });
  return tokens;
}

#define NEARLINEAR_INSTANTIATE(T, I) \
  template Tokens cut_tokens(const CsrView<T, I>&, const CsrView<T, I>&, Index, int, Monitor&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sparse

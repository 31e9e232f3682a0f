#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/selection.hpp"

using namespace nearlinear;

namespace {

const std::vector<int> indptr{0, 3, 5}, indices{0, 1, 2, 0, 2};
const std::vector<double> data{1, 2, 3, -1, 1};
const CsrView<double, int> A{2, 3, indptr, indices, data};
const std::vector<int> b_indptr{0, 2, 3, 5}, b_indices{0, 3, 1, 0, 3};
const std::vector<double> b_data{1, 2, -4, 1, 2};
const CsrView<double, int> B{3, 4, b_indptr, b_indices, b_data};  // A B = (4 -8 . 8; 0 . . 0)

std::vector<double> values_with(const MatmulOptions& options) {
  const auto C = matmul(A, B, options);
  return {C.data.begin(), C.data.end()};
}

/// A kernel as core/largest_entries.hpp wants it, without vectors.
Index every_above(const float* x, Index begin, Index size, float threshold, Index* found, Index* count,
                  Index capacity) noexcept {
  for (; begin < size && *count + collected_together <= capacity; ++begin)
    if (x[begin] > threshold) found[(*count)++] = begin;
  return begin;
}

/// The places of the k largest by sorting all.
std::vector<std::int64_t> largest(const std::vector<float>& values, std::size_t k) {
  std::vector<std::int64_t> places(values.size());
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<std::int64_t>(i);
  std::stable_sort(places.begin(), places.end(), [&](std::int64_t a, std::int64_t b) {
    const float x = values[static_cast<std::size_t>(a)], y = values[static_cast<std::size_t>(b)];
    return x > y || (std::isnan(y) && !std::isnan(x));
  });
  places.resize(k);
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

TEST("matmul drops what it is told to drop") {
  CHECK(values_with({}) == std::vector<double>({4, -8, 8, 0, 0}));
  CHECK(values_with({.prune_zeros = true}) == std::vector<double>({4, -8, 8}));
  CHECK(values_with({.threshold = 5}) == std::vector<double>({-8, 8}));
  CHECK(values_with({.top_k = 1}) == std::vector<double>({8, 0}));
  CHECK(values_with({.prune_zeros = true, .top_k = 2}) == std::vector<double>({4, 8}));
  const auto first_of_equals = matmul(A, B, {.top_k = 1});
  CHECK(first_of_equals.indices[1] == 0);
  CHECK(matmul_nnz(A, B) == 5);
  CHECK(matmul_nnz(A, B, {.threshold = 5}) == 2);
}

TEST("the largest entries of a row are those of a sort, for rows and k of every length") {
  LargestEntries<float> places(every_above);
  for (const Index size : {1, 15, 16, 17, 100, 1000, 5000})
    for (const Index k : {1, 2, 10, 99, 999})
      for (const int kind : {0, 1, 2, 3}) {
        const RandomStream random(static_cast<std::uint64_t>(size + k), static_cast<std::uint64_t>(kind));
        std::vector<float> row;
        std::vector<std::int64_t> columns;
        for (Index i = 0; i < size; ++i) {
          const double normal = random.normal(static_cast<std::uint64_t>(i));
          const double value = kind == 0   ? normal
                               : kind == 1 ? std::round(normal)
                                           : static_cast<double>(i) * (kind == 2 ? 1 : -1);
          row.push_back(kind == 1 && i % 50 == 7 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(value));
          columns.push_back(i);
        }
        const auto expected = largest(row, static_cast<std::size_t>(std::min(k, size)));
        Index row_size = size;
        const Index kept =
            sparse::select_entries<float, std::int64_t>({.top_k = k}, 1, columns.data(), row.data(), &row_size, places);
        columns.resize(static_cast<std::size_t>(kept));
        CHECK(row_size == kept && columns == expected);
      }
}

TEST("a product's size is known before it is computed, and can be refused") {
  const MatmulEstimate found = estimate_matmul(A, B);
  CHECK(found.products == 9 && found.nnz == 8);
  CHECK(found.bytes == 8 * 12 + 3 * 4);
  CHECK(matmul(A, B, {.max_bytes = found.bytes}).nnz() == 5);
  CHECK_THROWS((void)matmul(A, B, {.max_bytes = found.bytes - 1}), out_of_memory, "may take 108 bytes");
  CHECK(matmul(A, B, {.top_k = 1, .max_bytes = 2 * 12 + 3 * 4}).nnz() == 2);
}

TEST("matmul refuses options out of range") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS((void)matmul(A, B, {.threshold = -1}), std::invalid_argument, "matmul: threshold is -1");
  CHECK_THROWS((void)matmul(A, B, {.threshold = nan}), std::invalid_argument, "threshold is nan");
  CHECK_THROWS((void)matmul(A, B, {.top_k = -1}), std::invalid_argument, "top_k is -1");
  CHECK_THROWS((void)matmul(A, B, {.max_bytes = -1}), std::invalid_argument, "max_bytes is -1");
  CHECK_THROWS((void)matmul_nnz(A, B, {.top_k = -1}), std::invalid_argument, "matmul_nnz: top_k is -1");
  CHECK_THROWS((void)matmul_nnz(A, A), std::invalid_argument, "matmul_nnz: A is 2 x 3 but B is 2 x 3");
  CHECK_THROWS((void)estimate_matmul(A, A), std::invalid_argument, "estimate_matmul: A is 2 x 3 but B is 2 x 3");
}

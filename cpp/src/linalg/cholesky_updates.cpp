// Changes of a Cholesky factor by plane rotations. With the rotation of column j, (l_jj, x_j) becomes (l'_jj, 0):
//
//     l'_jj = sqrt(l_jj^2 + x_j^2),    c_j = l_jj / l'_jj,    s_j = x_j / l'_jj,
//     below:  (l_ij, x_i)  <-  (c_j l_ij + s_j x_i,  c_j x_i - s_j l_ij).
//
// (L, x) (L, x)^T stays what it is. Textbooks go column by column; stored by rows, a panel of columns at a time is
// faster: first its rows on the diagonal, which yield its rotations, then the rows below, each along its memory and
// independent of the others.
#include <algorithm>
#include <type_traits>

#include "linalg/cholesky_kernels.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear {
namespace {

constexpr Index panel = 512;     // columns; a body's entries and its rotations stay in the second-level cache
constexpr Index body_rows = 64;  // rows of a panel that one thread takes together
constexpr Index operations_per_entry = 16;  // of Steps: rotations take this much longer than products

Index length(auto span) { return static_cast<Index>(span.size()); }

double square(Index n) { return static_cast<double>(n) * static_cast<double>(n); }

template <class T>
Index rotate(MatrixView<T> L, T* x, linalg::Steps& steps) {
  const Index n = L.rows();
  const auto& kernels = linalg::cholesky_kernels_for<T>();
  const Array<T> cosines(n), sines(n);
  for (Index begin = 0; begin < n; begin += panel) {
    const Index width = std::min(panel, n - begin), end = begin + width, below = n - end;
    T* const c = cosines.data() + begin;
    T* const s = sines.data() + begin;
    Index status = 0;
    steps.run(1, operations_per_entry * square(width) / 2, [&](Index) {
      status = kernels.rotate_triangle(width, &L(begin, begin), L.row_stride(), x + begin, c, s);
    });
    if (status != 0) return begin + status;
    if (below == 0) break;
    const double operations = operations_per_entry * static_cast<double>(below) * static_cast<double>(width);
    steps.run(ceil_divide(below, body_rows), operations, [&](Index body) {
      const Index row = end + body * body_rows;
      kernels.rotate_rows(std::min(body_rows, n - row), width, &L(row, begin), L.row_stride(), x + row, c, s);
    });
  }
  return 0;
}

}  // namespace

template <class T>
Index cholesky_update(MatrixView<T> L, std::span<T> x, const RunOptions& run) {
  require_valid_view(L, "cholesky_update", "L");
  require(L.rows() == L.cols() && length(x) == L.rows(), "cholesky_update: L is ", shape(L), " and x has ", length(x),
          " entries; L must be square, and x have as many entries as L has rows");
  linalg::Steps steps(run, operations_per_entry * square(L.rows()) / 2);
  return rotate(L, x.data(), steps);
}

template <class T>
Index cholesky_slide(MatrixView<T> L, std::span<const T> last_row, const RunOptions& run) {
  require_valid_view(L, "cholesky_slide", "L");
  require(L.rows() == L.cols() && length(last_row) == L.rows(), "cholesky_slide: L is ", shape(L), " and last_row has ",
          length(last_row), " entries; L must be square, and last_row have as many entries as L has rows");
  const Index n = L.rows();
  if (n == 0) return 0;
  const Index kept = n - 1;
  const auto& kernels = linalg::cholesky_kernels_for<T>();
  linalg::Steps steps(run, operations_per_entry * square(n));
  const Index bodies = ceil_divide(n, body_rows);

  const Array<T> x(kept);
  // One thread: a row moves to where the one before it was.
  for (Index body = 0; body < bodies; ++body)
    steps.run(1, operations_per_entry * square(n) / static_cast<double>(4 * bodies), [&](Index) {
      for (Index i = body * body_rows; i < std::min(kept, (body + 1) * body_rows); ++i) {
        const T* const old = &L(i + 1, 0);
        x[i] = old[0];
        std::copy_n(old + 1, i + 1, &L(i, 0));
      }
    });
  const MatrixView<T> first = linalg::block(L, 0, 0, kept, kept);
  if (const Index status = rotate(first, x.data(), steps); status != 0) return status;

  T* const y = &L(kept, 0);
  std::copy_n(last_row.data(), n, y);
  for (Index body = 0; body < bodies; ++body)
    steps.run(1, operations_per_entry * square(n) / static_cast<double>(4 * bodies), [&](Index) {
      kernels.forward_substitute(body * body_rows, std::min(kept, (body + 1) * body_rows), L.data(), L.row_stride(), y);
    });
  // 1 x 1 is a factorisation, with its own idea of what is positive.
  y[kept] -= kernels.square_sum(kept, y);
  T scratch{};
  return kernels.factor_tile(1, &y[kept], L.row_stride(), &scratch) == 0 ? 0 : n;
}

template Index cholesky_update(MatrixView<float>, std::span<float>, const RunOptions&);
template Index cholesky_update(MatrixView<double>, std::span<double>, const RunOptions&);
template Index cholesky_slide(MatrixView<float>, std::span<const float>, const RunOptions&);
template Index cholesky_slide(MatrixView<double>, std::span<const double>, const RunOptions&);

}  // namespace nearlinear

// Compiled once per instruction set; see core/dispatch.hpp for the rules. Gradients are widened to double once for all
// vectors, a few rows or columns at a time, and the next ones are fetched from memory while these are multiplied.
#include "fisher/many_kernels.hpp"

#include <algorithm>

#include "fisher/widen.hpp"
#include "linalg/register_tile.hpp"

namespace {

using namespace nearlinear::fisher;
using nearlinear::Index;
using nearlinear::linalg::multiply_in_registers;
using nearlinear::linalg::Packet;
using nearlinear::linalg::panel_width;
using nearlinear::linalg::tile_rows;
using nearlinear::linalg::tile_vectors;
namespace linalg = nearlinear::linalg;

constexpr Index panel = linalg::tile_cols<double>, lanes = linalg::width<double>;
static_assert(many_unit % tile_rows == 0);

/// The lines of some columns of some rows, one more with every call.
template <class S>
class Fetch {
 public:
  Fetch(const S* first, Index row_stride, Index rows, Index cols)
      : row_(first), row_stride_(row_stride), rows_(rows), cols_(cols) {}

  void operator()(Index /*step*/) {
    if (rows_ <= 0) return;
    __builtin_prefetch(row_ + col_);
    col_ += 64 / Index{sizeof(S)};
    if (col_ < cols_) return;
    col_ = 0;
    row_ += row_stride_;
    --rows_;
  }

 private:
  const S* row_;
  Index row_stride_, rows_, cols_, col_ = 0;
};

/// C <- C + A B for the first `rows` and `cols` of a tile of C; A and B as multiply_in_registers() takes them.
template <int vectors, class S>
void add_tile(Index depth, const double* a, Index a_row, Index a_col, const double* b, double* c, Index c_stride,
              Index rows, Index cols, Fetch<S>& fetch) {
  Packet<double> sum[tile_rows][vectors];
  multiply_in_registers<double, tile_rows, vectors>(depth, a, a_row, a_col, b, sum, fetch);
  alignas(64) double product[tile_rows][vectors * lanes];
#pragma GCC unroll 8
  for (int r = 0; r < tile_rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) Eigen::internal::pstore(&product[r][v * lanes], sum[r][v]);
  for (Index r = 0; r < rows; ++r)
    for (Index j = 0; j < cols; ++j) c[r * c_stride + j] += product[r][j];
}

/// The same for a panel of B that is fewer vectors wide.
template <int vectors = tile_vectors, class S>
void add_tile(Index panel_vectors, Index depth, const double* a, Index a_row, Index a_col, const double* b, double* c,
              Index c_stride, Index rows, Index cols, Fetch<S>& fetch) {
  if constexpr (vectors > 1)
    if (panel_vectors < vectors)
      return add_tile<vectors - 1>(panel_vectors, depth, a, a_row, a_col, b, c, c_stride, rows, cols, fetch);
  add_tile<vectors>(depth, a, a_row, a_col, b, c, c_stride, rows, cols, fetch);
}

template <class S>
void to_doubles(const S* from, Index count, double* to) {
  Index j = 0;
  for (; j + width <= count; j += width) {
    Doubles entries;
    load(from + j, entries);
    std::memcpy(to + j, &entries, sizeof entries);
  }
  for (; j < count; ++j) to[j] = to_double(from[j]);
}

template <class S>
void multiply(const S* g, Index row_stride, Index rows, Index cols, const double* packed_x, Index p, double* scratch,
              double* sums) noexcept {
  constexpr Index stride = many_cols + 8;  // rows at this distance share no set of the cache
  static_assert(tile_rows * stride <= many_scratch);
  for (Index i = 0; i < rows; i += tile_rows) {
    const Index count = std::min<Index>(tile_rows, rows - i);
    for (Index r = 0; r < tile_rows; ++r)
      to_doubles(g + std::min(i + r, rows - 1) * row_stride, cols, scratch + r * stride);
    Fetch<S> fetch(g + (i + tile_rows) * row_stride, row_stride, std::min<Index>(tile_rows, rows - i - tile_rows),
                   cols);
    if (i + tile_rows >= rows) fetch = Fetch<S>(g + cols, row_stride, std::min<Index>(tile_rows, rows), cols);
    for (Index q = 0; q < p; q += panel)
      add_tile(panel_width<double>(q, p) / lanes, cols, scratch, stride, Index{1}, packed_x + q * cols,
               sums + i * p + q, p, count, std::min(panel, p - q), fetch);
  }
}

template <class S>
void combine(const S* g, Index row_stride, Index rows, Index cols, const double* c, Index c_stride, Index p,
             double* scratch, double* y, Index y_stride) noexcept {
  constexpr Index wide = 2 * panel;
  static_assert(many_rows * wide <= many_scratch);
  for (Index j = 0; j < cols; j += wide) {
    const Index width_here = std::min(wide, cols - j);
    for (Index i = 0; i < rows; i += many_rows) {
      const Index count = std::min(many_rows, rows - i);
      for (Index begin = 0; begin < width_here; begin += panel) {
        const Index used = std::min(panel, width_here - begin);
        for (Index r = 0; r < count; ++r) {
          double* const to = scratch + (begin / panel * count + r) * panel;
          to_doubles(g + (i + r) * row_stride + j + begin, used, to);
          std::fill(to + used, to + panel, 0.0);
        }
      }
      const bool last = i + many_rows >= rows;
      Fetch<S> fetch(last ? g + j + wide : g + (i + many_rows) * row_stride + j, row_stride,
                     std::min(many_rows, last ? rows : rows - i - many_rows), width_here);
      for (Index q = 0; q < p; q += tile_rows)
        for (Index begin = 0; begin < width_here; begin += panel)
          add_tile<tile_vectors>(count, c + i * c_stride + q, Index{1}, c_stride, scratch + begin * count,
                                 y + q * y_stride + j + begin, y_stride, std::min<Index>(tile_rows, p - q),
                                 std::min(panel, width_here - begin), fetch);
    }
  }
}

template <class S>
constexpr ManyKernelsFor<S> kernels_of = {.multiply = multiply<S>, .combine = combine<S>};

}  // namespace

const nearlinear::fisher::ManyKernels nearlinear::fisher::many_kernels = {
    .f64 = kernels_of<double>,
    .f32 = kernels_of<float>,
    .f16 = kernels_of<Half>,
    .bf16 = kernels_of<BFloat16>,
};

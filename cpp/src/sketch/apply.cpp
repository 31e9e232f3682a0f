// Sketches by tiles: a tile of rows is copied with its signs, transformed while it lies in the cache, and its rows are
// added to those of the sketch. Since H_N = H_p (x) H_b, row (h, l) of H D A is the sum over tiles t of
// (-1)^popcount(h & t) times row l of H_b D_t A_t: srht needs one pass and no padded copy of A.
#include "sketch/apply.hpp"

#include <bit>
#include <cmath>

#include "linalg/hadamard_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"
#include "sketch/random_map.hpp"

namespace nearlinear {
namespace sketch {
namespace {

constexpr Index cache_bytes = Index{2} << 20;  // for a tile and the sums that its rows are added to
constexpr Index narrowest_bytes = 256;         // of a row of a tile: what memory delivers well
constexpr Index widest_bytes = 1024;           // of 64 rows that are transformed in the nearest cache
constexpr Index transformed_rows = 64;         // by one kernel with their copy, in the nearest cache
constexpr Index srht_block = 1024;             // changes roundings alone
constexpr Index gaussian_block = 256;

bool is_hadamard(SketchKind kind) { return kind == SketchKind::srht || kind == SketchKind::block_hadamard; }

Index tile_rows(const SketchSpec& spec) {
  switch (spec.kind) {
    case SketchKind::srht:
      return srht_block;
    case SketchKind::block_hadamard:
      return spec.block;
    case SketchKind::gaussian:
      return gaussian_block;
    default: {  // enough for some rows of every tile to meet in a row of the sketch
      const auto meeting = std::bit_ceil(static_cast<std::uint64_t>(2 * spec.rows / column_nonzeros(spec)));
      return std::clamp<Index>(static_cast<Index>(meeting), 256, 4096);
    }
  }
}

/// `count` numbers and what fills up the last line of the cache: no register then lies across two lines.
template <class T>
constexpr Index whole_lines(Index count) {
  constexpr Index line = 64 / Index{sizeof(T)};
  return ceil_divide(count, line) * line;
}

/// Equal stripes of columns, of whole registers, as wide as the cache allows for the rows of a tile and of the sketch,
/// and for what is transformed in the nearest cache.
template <class T>
Index stripe_width(const SketchSpec& spec, Index width) {
  constexpr Index line = 64 / Index{sizeof(T)};
  const Index affordable = std::max(narrowest_bytes, cache_bytes / (tile_rows(spec) + spec.rows));
  const Index most = (is_hadamard(spec.kind) ? std::min(widest_bytes, affordable) : affordable) / Index{sizeof(T)};
  const Index stripes = ceil_divide(width, std::max(line, most));
  return whole_lines<T>(ceil_divide(width, stripes));
}

/// What one thread needs to sketch tiles.
template <class T>
class TileSketch {
 public:
  TileSketch(const SketchSpec& spec, const RowSource<T>& rows, Index offset,
             const std::vector<std::uint64_t>& hadamard_rows)
      : spec_(spec),
        rows_(rows),
        offset_(offset),
        hadamard_rows_(hadamard_rows),
        size_(tile_rows(spec)),
        stripe_(stripe_width<T>(spec, rows.width())),
        factors_(size_),
        tile_(checked_product(size_, stripe_)),
        normals_(spec.kind == SketchKind::gaussian ? size_ * normals_stride() : 0) {
    if (spec.kind != SketchKind::gaussian) scheduler_ = std::make_unique<Scheduler>(spec, size_);
  }

  [[nodiscard]] Index size() const { return size_; }

  /// Adds the tile number `number` of the whole matrix to stripes [first, last) of `sums`.
  void add(Index number, Index first, Index last, MatrixView<T> sums) {
    const Index top = number * size_ - offset_;  // the tile's first row in `rows`, which may lie before them
    const Index begin = std::max<Index>(0, top), end = std::min(rows_.rows(), top + size_);
    draw_signs(spec_, offset_ + begin, end - begin, factors_.data());
    rows_.weigh(begin, end, factors_.data());
    Schedule schedule{};
    if (spec_.kind == SketchKind::gaussian)
      draw_normals(spec_.seed, gaussian_stream, offset_ + begin, end - begin, spec_.rows, normals_.data());
    else if (spec_.kind == SketchKind::srht)
      schedule = scheduler_->picks(number, hadamard_rows_);
    else
      schedule = scheduler_->targets(number * size_);
    for (Index stripe = first; stripe < last; ++stripe) {
      const Index col = stripe * stripe_, width = std::min(stripe_, rows_.width() - col),
                  stride = whole_lines<T>(width);
      T* const tile = tile_.data();
      T* const sum = sums.data() + col;
      if (spec_.kind == SketchKind::gaussian) {
        rows_.copy(begin, end, col, col + width, factors_.data(), tile, stride);
        linalg::gemm_kernel<T>()(spec_.rows, width, end - begin, T{1}, {normals_.data(), 1, normals_stride()},
                                 {tile, stride, 1}, sum, sums.row_stride());
        continue;
      }
      const Index head = begin - top, tail = end - top;
      const bool is_whole = is_hadamard(spec_.kind) && end - begin == size_ && size_ > transformed_rows;
      if (is_whole) clear_gap(0, size_, width, stride);
      if (is_whole && rows_.copy_transformed(begin, end, col, col + width, factors_.data(), tile, stride)) {
        const Index left = size_ / transformed_rows, run = transformed_rows * stride;  // H_b = H_left (x) H_64
        if (left == 16)
          kernels_for<T>().transform_16(tile, run);
        else
          linalg::transform_tile_kernel<T>()(tile, left, run, run);
        kernels_for<T>().add_rows(spec_.rows, schedule, tile, stride, width, sum, sums.row_stride());
        continue;
      }
      rows_.copy(begin, end, col, col + width, factors_.data(), tile + head * stride, stride);
      clear_gap(head, tail, width, stride);
      std::fill_n(tile, head * stride, T{0});
      std::fill(tile + tail * stride, tile + size_ * stride, T{0});
      if (is_hadamard(spec_.kind)) linalg::transform_tile_kernel<T>()(tile, size_, stride, stride);
      kernels_for<T>().add_rows(spec_.rows, schedule, tile, stride, width, sum, sums.row_stride());
    }
  }

  [[nodiscard]] static Index stripes(const SketchSpec& spec, Index width) {
    return ceil_divide(width, stripe_width<T>(spec, width));
  }

 private:
  /// Zeros where nothing is copied to, which would otherwise grow from tile to tile.
  void clear_gap(Index begin, Index end, Index width, Index stride) const {
    for (Index i = begin; i < end && width < stride; ++i)
      std::fill(tile_.data() + i * stride + width, tile_.data() + (i + 1) * stride, T{0});
  }

  [[nodiscard]] Index normals_stride() const { return 2 * ceil_divide(spec_.rows, 2); }

  const SketchSpec& spec_;
  const RowSource<T>& rows_;
  Index offset_;
  const std::vector<std::uint64_t>& hadamard_rows_;
  Index size_;
  Index stripe_;
  Array<T> factors_, tile_, normals_;
  std::unique_ptr<Scheduler> scheduler_;
};

/// sums <- sums + the sums of all groups, each of `size` numbers.
template <class T>
void add_groups(const Array<T>& partials, Index groups, MatrixView<T> sums, int threads, Monitor& monitor) {
  const Index size = sums.rows() * sums.cols();
  parallel_for(sums.rows(), std::min(threads, thread_count(threads, groups * size / 4)), monitor, [&](Index j) {
    for (Index c = 0; c < sums.cols(); ++c) {
      T total = sums(j, c);
      for (Index group = 0; group < groups; ++group) total += partials[group * size + j * sums.cols() + c];
      sums(j, c) = total;
    }
  });
}

/// Nanoseconds per entry of A, roughly.
double work_per_entry(const SketchSpec& spec) {
  if (spec.kind == SketchKind::gaussian) return static_cast<double>(spec.rows) * 2 / linalg::product_rate;
  return spec.kind == SketchKind::sjlt ? 1 : 0.5;
}

}  // namespace

bool is_streamed(SketchKind kind) { return kind != SketchKind::dct && kind != SketchKind::pooled; }

void require_valid(const SketchSpec& spec, Index n, const char* function) {
  require(spec.rows >= 1 && spec.rows <= Index{1} << 30, function, ": the sketch has ", spec.rows,
          " rows; it must have at least 1 and at most 2^30");
  require(spec.kind != SketchKind::block_hadamard || (spec.block >= 2 && spec.block <= Index{1} << 16 &&
                                                      std::has_single_bit(static_cast<std::uint64_t>(spec.block))),
          function, ": block is ", spec.block, "; it must be a power of two within 2 and 65536");
  require(spec.kind != SketchKind::pooled ||
              (spec.length >= std::max(n, spec.rows) && std::has_single_bit(static_cast<std::uint64_t>(spec.length))),
          function, ": length is ", spec.length, " for ", n, " rows of A and ", spec.rows,
          " of S; it must be a power of two and no less");
  require(n > 0 || is_streamed(spec.kind), function, ": A has no rows; dct and pooled need one");
}

template <class T>
void add_to_sketch(const SketchSpec& spec, Index offset, const RowSource<T>& rows, MatrixView<T> sums,
                   const RunOptions& run) {
  if (rows.rows() == 0 || rows.width() == 0) return;
  const std::vector<std::uint64_t> hadamard_rows =
      spec.kind == SketchKind::srht ? draw_hadamard_rows(spec) : std::vector<std::uint64_t>();
  const Index size = tile_rows(spec), stripes = TileSketch<T>::stripes(spec, rows.width());
  const Index first_tile = offset / size, tiles = (offset + rows.rows() - 1) / size + 1 - first_tile;
  const Index entries = spec.rows * rows.width();
  const Index groups = linalg::group_count(tiles, 1, entries * Index{sizeof(T)});
  const Index parts = std::min(stripes, ceil_divide(Index{32}, groups));  // of the stripes, where groups are few
  Monitor monitor(run.keep_going);
  const int threads = linalg::threads_at(1 / work_per_entry(spec), run.n_threads, rows.rows(), rows.width());
  const bool is_alone = groups == 1;
  const Array<T> partials = Array<T>::zeros(is_alone ? 0 : checked_product(groups, entries));
  std::vector<std::unique_ptr<TileSketch<T>>> sketches(static_cast<std::size_t>(threads));
  parallel_for_workers(groups * parts, threads, monitor, [&](Index task, int worker) {
    auto& sketch = sketches[static_cast<std::size_t>(worker)];
    if (!sketch) sketch = std::make_unique<TileSketch<T>>(spec, rows, offset, hadamard_rows);
    const Index group = task / parts, part = task % parts;
    const MatrixView<T> target =
        is_alone ? sums : MatrixView<T>(partials.data() + group * entries, spec.rows, rows.width());
    const Index begin = group * tiles / groups, end = (group + 1) * tiles / groups;
    for (Index tile = begin; tile < end; ++tile) {
      if (worker == 0)
        monitor.poll(
            (static_cast<double>(task) + static_cast<double>(tile - begin) / static_cast<double>(end - begin)) /
            static_cast<double>(groups * parts));
      sketch->add(first_tile + tile, part * stripes / parts, (part + 1) * stripes / parts, target);
    }
  });
  if (!is_alone) add_groups(partials, groups, sums, threads, monitor);
}

template <class T>
void multiply_by(MatrixView<T> matrix, double factor) {
  for (Index i = 0; i < matrix.rows(); ++i)
    for (T& entry : matrix.row(i)) entry = static_cast<T>(static_cast<double>(entry) * factor);
}

namespace {

template <class T>
void set_zero(MatrixView<T> matrix) {
  for (Index i = 0; i < matrix.rows(); ++i) std::fill_n(&matrix(i, 0), matrix.cols(), T{0});
}

template <class T>
void require_shapes(const SketchSpec& spec, Index rows, Index cols, MatrixView<T> SA) {
  require_valid(spec, rows, "apply_sketch");
  require_valid_view(SA, "apply_sketch", "SA");
  require(SA.rows() == spec.rows && SA.cols() == cols, "apply_sketch: A is ", Shape{rows, cols}, ", S has ", spec.rows,
          " rows and SA is ", shape(SA), "; it must have as many rows as S and as many columns as A");
}

}  // namespace

template <class T>
void sketch_all(const SketchSpec& spec, const RowSource<T>& rows, MatrixView<T> SAB, const RunOptions& run) {
  if (!is_streamed(spec.kind)) return sketch_whole(spec, rows, SAB, run);
  set_zero(SAB);
  add_to_sketch(spec, 0, rows, SAB, run);
  multiply_by(SAB, scale(spec));
}

template <class T, class I>
void sketch_all(const SketchSpec& spec, const CsrRows<T, I>& rows, MatrixView<T> SAB, const RunOptions& run) {
  if (!is_streamed(spec.kind)) return sketch_whole<T>(spec, rows, SAB, run);
  set_zero(SAB);
  add_sparse_to_sketch(spec, 0, rows, SAB, run);
  multiply_by(SAB, scale(spec));
}

}  // namespace sketch

template <class T>
void apply_sketch(const SketchSpec& spec, MatrixView<const T> A, MatrixView<T> SA, const RunOptions& run) {
  require_valid_view(A, "apply_sketch", "A");
  sketch::require_shapes(spec, A.rows(), A.cols(), SA);
  sketch::sketch_all<T>(spec, sketch::DenseRows<T>(A, {nullptr, A.rows(), 0}), SA, run);
}

template <class T, class I>
void apply_sketch(const SketchSpec& spec, const CsrView<T, I>& A, MatrixView<T> SA, const RunOptions& run) {
  (void)require_valid_csr(A, "apply_sketch", "A", run);
  sketch::require_shapes(spec, A.rows, A.cols, SA);
  sketch::sketch_all<T, I>(spec, sketch::CsrRows<T, I>(A, {nullptr, A.rows, 0}), SA, run);
}

template <class T>
void apply_sketch_transposed(const SketchSpec& spec, MatrixView<const T> Y, MatrixView<T> X, const RunOptions& run) {
  using namespace sketch;
  require_valid_view(Y, "apply_sketch_transposed", "Y");
  require_valid_view(X, "apply_sketch_transposed", "X");
  require_valid(spec, X.rows(), "apply_sketch_transposed");
  require(Y.rows() == spec.rows && X.cols() == Y.cols(), "apply_sketch_transposed: S has ", spec.rows, " rows, Y is ",
          shape(Y), " and X is ", shape(X), "; Y must have as many rows as S, and X as many columns as Y");
  if (X.rows() == 0 || X.cols() == 0) return;
  if (!is_streamed(spec.kind)) return sketch_whole_transposed(spec, Y, X, run);
  const Index size = tile_rows(spec), p = Y.cols(), width = stripe_width<T>(spec, p),
              tiles = ceil_divide(X.rows(), size);
  const std::vector<std::uint64_t> hadamard_rows =
      spec.kind == SketchKind::srht ? draw_hadamard_rows(spec) : std::vector<std::uint64_t>();
  Monitor monitor(run.keep_going);
  const int threads = linalg::threads_at(1 / work_per_entry(spec), run.n_threads, X.rows(), p);
  const double factor = scale(spec);
  parallel_for(tiles, threads, monitor, [&](Index number) {
    const Index begin = number * size, count = std::min(size, X.rows() - begin), stride = 2 * ceil_divide(spec.rows, 2);
    const Array<T> tile(size * width), signs(size), normals(spec.kind == SketchKind::gaussian ? count * stride : 0);
    draw_signs(spec, begin, count, signs.data());
    if (normals.size() > 0) draw_normals(spec.seed, gaussian_stream, begin, count, spec.rows, normals.data());
    std::unique_ptr<Scheduler> scheduler;
    Schedule schedule{};
    if (normals.size() == 0) {
      scheduler = std::make_unique<Scheduler>(spec, size);
      schedule = spec.kind == SketchKind::srht ? scheduler->picks(number, hadamard_rows) : scheduler->targets(begin);
    }
    for (Index col = 0; col < p; col += width) {
      const Index cols = std::min(width, p - col);
      std::fill_n(tile.data(), size * cols, T{0});
      if (normals.size() > 0) {
        linalg::gemm_kernel<T>()(count, cols, spec.rows, T{1}, {normals.data(), stride, 1},
                                 {&Y(0, col), Y.row_stride(), 1}, tile.data(), cols);
      } else {
        kernels_for<T>().spread_rows(spec.rows, schedule, &Y(0, col), Y.row_stride(), cols, tile.data(), cols);
        if (is_hadamard(spec.kind)) linalg::transform_tile_kernel<T>()(tile.data(), size, cols, cols);
      }
      for (Index i = 0; i < count; ++i)
        for (Index c = 0; c < cols; ++c)
          X(begin + i, col + c) =
              static_cast<T>(factor * static_cast<double>(signs[i]) * static_cast<double>(tile[i * cols + c]));
    }
  });
}

#define NEARLINEAR_INSTANTIATE_SPARSE(T, I)                                                              \
  template void apply_sketch(const SketchSpec&, const CsrView<T, I>&, MatrixView<T>, const RunOptions&); \
  template void sketch::sketch_all(const SketchSpec&, const CsrRows<T, I>&, MatrixView<T>, const RunOptions&);
#define NEARLINEAR_INSTANTIATE(T)                                                                                  \
  NEARLINEAR_INSTANTIATE_SPARSE(T, std::int32_t)                                                                   \
  NEARLINEAR_INSTANTIATE_SPARSE(T, std::int64_t)                                                                   \
  template void apply_sketch(const SketchSpec&, MatrixView<const T>, MatrixView<T>, const RunOptions&);            \
  template void apply_sketch_transposed(const SketchSpec&, MatrixView<const T>, MatrixView<T>, const RunOptions&); \
  template void sketch::add_to_sketch(const SketchSpec&, Index, const RowSource<T>&, MatrixView<T>,                \
                                      const RunOptions&);                                                          \
  template void sketch::sketch_all(const SketchSpec&, const RowSource<T>&, MatrixView<T>, const RunOptions&);      \
  template void sketch::multiply_by(MatrixView<T>, double);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE
#undef NEARLINEAR_INSTANTIATE_SPARSE

}  // namespace nearlinear

// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "linalg/hadamard_kernels.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "linalg/butterflies.hpp"
#include "nearlinear/eigen.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::as_eigen;
using nearlinear::Index;
using nearlinear::MatrixView;
using nearlinear::linalg::butterfly;
using nearlinear::linalg::Packet;
using nearlinear::linalg::transform_registers;
using nearlinear::linalg::width;

template <class Number, class T, std::size_t... k>
void transform_column(const T* in, Index in_distance, T* out, Index out_distance,
                      std::index_sequence<k...> /*numbers*/) {
  Number x[] = {ei::ploadu<Number>(in + Index{k} * in_distance)...};
  transform_registers<sizeof...(k)>(x);
  (ei::pstoreu(out + Index{k} * out_distance, x[k]), ...);
}

/// How many elements there are before the first that a register can be aligned with.
template <class T>
Index elements_before_alignment(const T* x) {
  constexpr std::uintptr_t bytes = width<T> * sizeof(T);
  const std::uintptr_t beyond = reinterpret_cast<std::uintptr_t>(x) % bytes;
  return beyond == 0 ? 0 : static_cast<Index>((bytes - beyond) / sizeof(T));
}

/// out <- (H_radix (x) I_size) in: the log2(radix) stages between `radix` runs of `size` elements at once. One load and
/// one store of every element, and the additions of stages one by one, hence the same bits.
template <int radix, class T>
void transform_runs(const T* in, Index in_distance, T* out, Index out_distance, Index size) {
  constexpr std::make_index_sequence<radix> numbers;
  Index j = 0;
  // A register that lies across two lines of the cache takes twice as long. NumPy's large arrays begin 16 bytes behind
  // a line; all runs can begin with whole registers if their distances are multiples of one. In short runs
  // the single elements would cost more than that saves.
  if (in == out && in_distance % width<T> == 0 && size >= 8 * width<T>)
    for (const Index head = std::min(size, elements_before_alignment(in)); j < head; ++j)
      transform_column<T>(in + j, in_distance, out + j, out_distance, numbers);
  for (; j + width<T> <= size; j += width<T>)
    transform_column<Packet<T>>(in + j, in_distance, out + j, out_distance, numbers);
  for (; j < size; ++j) transform_column<T>(in + j, in_distance, out + j, out_distance, numbers);
}

template <int radix, class T>
void transform_runs(T* x, Index size) {
  transform_runs<radix>(x, size, x, size, size);
}

/// The four stages H_16 of 16 neighbours, whose runs of 1 to 8 elements are too short for the loops above. The lengths
/// are fixed, so that the compiler unrolls them.
template <class T>
void transform_16(T* x) {
  for (Index half = 1; half < 16; half *= 2)
    for (Index begin = 0; begin < 16; begin += 2 * half)
      for (Index j = begin; j < begin + half; ++j) butterfly(x[j], x[j + half]);
}

/// The remaining stages of x, `size` elements side by side, of which runs of `done` elements are transformed.
template <class T>
void continue_transform(T* x, Index size, Index done) {
  const auto transform_all = [&](auto radix) {
    for (Index begin = 0; begin < size; begin += radix * done) transform_runs<radix>(x + begin, done);
    done *= radix;
  };
  using std::integral_constant;
  for (Index rest = size / done; rest > 1; rest = size / done) {
    if (rest == 2)
      transform_all(integral_constant<int, 2>());
    else if (rest == 4 || rest == 16)
      transform_all(integral_constant<int, 4>());
    else
      transform_all(integral_constant<int, 8>());
  }
}

/// x <- (H_rows (x) I_cols) x, x of rows * cols elements side by side. What exceeds the first-level cache is
/// transformed in parts, and these in parts, each while it is in the smallest cache that holds it.
template <class T>
void transform_contiguous(T* x, Index rows, Index cols) {
  constexpr Index nearest = (Index{28} << 10) / Index{sizeof(T)};
  const Index size = rows * cols;
  if (size > nearest && rows >= 8) {
    const Index part = size / 8;
    for (Index p = 0; p < 8; ++p) transform_contiguous(x + p * part, rows / 8, cols);
    return transform_runs<8>(x, part);
  }
  if (cols > 1 || rows < 16) return continue_transform(x, size, cols);
  for (Index begin = 0; begin < size; begin += 16) transform_16(x + begin);
  continue_transform(x, size, Index{16});
}

/// A tile with gaps is transformed in a copy: rows a power of two apart would evict each other from the cache.
template <class T>
void transform_tile(T* first, Index rows, Index cols, Index row_stride) noexcept {
  if (row_stride == cols) return transform_contiguous(first, rows, cols);
  alignas(EIGEN_MAX_ALIGN_BYTES) T storage[nearlinear::linalg::tile_bytes / sizeof(T)];
  auto tile = as_eigen(MatrixView<T>(first, rows, cols, row_stride));
  auto copy = as_eigen(MatrixView<T>(storage, rows, cols));
  copy = tile;
  transform_contiguous(storage, rows, cols);
  tile = copy;
}

template <class T>
void prefetch_rows(const T* first, Index rows, Index cols, Index row_stride) {
  constexpr Index line = 64 / Index{sizeof(T)};
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; j += line) __builtin_prefetch(first + i * row_stride + j);
}

/// The first three stages on the way into the copy, the last three on the way out; those between are done for one
/// eighth of the rows at a time, while it lies in the first-level cache.
template <class T>
void transform_tall_tile(T* first, Index rows, Index cols, Index row_stride, T* scratch) noexcept {
  const Index eighth = rows / 8;
  const Index distance = eighth * cols + nearlinear::linalg::tall_tile_gap_bytes / Index{sizeof(T)};
  for (Index e = 0; e < 8; ++e) {
    T* const copy = scratch + e * distance;
    for (Index i = 0; i < eighth; i += 8) {
      const T* const tile = first + (e * eighth + i) * row_stride;
      const Index rows_left = rows - (e * eighth + i) - 8;
      prefetch_rows(tile + 8 * row_stride, std::min<Index>(8, rows_left), cols, row_stride);
      transform_runs<8>(tile, row_stride, copy + i * cols, cols, cols);
    }
    continue_transform(copy, eighth * cols, 8 * cols);
  }
  for (Index i = 0; i < eighth; ++i)
    transform_runs<8>(scratch + i * cols, distance, first + i * row_stride, eighth * row_stride, cols);
}

}  // namespace

const nearlinear::linalg::HadamardKernels nearlinear::linalg::hadamard_kernels = {
    .transform_tile_f32 = transform_tile<float>,
    .transform_tile_f64 = transform_tile<double>,
    .transform_tall_tile_f32 = transform_tall_tile<float>,
    .transform_tall_tile_f64 = transform_tall_tile<double>,
};

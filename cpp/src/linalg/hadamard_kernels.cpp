// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "linalg/hadamard_kernels.hpp"

#include "nearlinear/eigen.hpp"

namespace {

using nearlinear::as_eigen;
using nearlinear::Index;
using nearlinear::MatrixView;

/// (a, b) <- (a + b, a - b)
template <class T>
void butterfly(T& a, T& b) {
  const T difference = a - b;
  a += b;
  b = difference;
}

/// The stage H_2 (x) I: one butterfly between the two halves of `x`, each of `half` elements.
template <class T>
void radix_2_stage(T* x, Index half) {
  T* __restrict x0 = x;
  T* __restrict x1 = x + half;
  for (Index j = 0; j < half; ++j) butterfly(x0[j], x1[j]);
}

/// The two stages H_4 (x) I at once, on the four quarters of `x`: half the loads and stores of two radix-2 stages, and
/// the same additions, hence the same bits.
template <class T>
void radix_4_stages(T* x, Index quarter) {
  T* __restrict x0 = x;
  T* __restrict x1 = x + quarter;
  T* __restrict x2 = x + 2 * quarter;
  T* __restrict x3 = x + 3 * quarter;
  for (Index j = 0; j < quarter; ++j) {
    T a = x0[j];
    T b = x1[j];
    T c = x2[j];
    T d = x3[j];
    butterfly(a, b);
    butterfly(c, d);
    butterfly(a, c);
    butterfly(b, d);
    x0[j] = a;
    x1[j] = b;
    x2[j] = c;
    x3[j] = d;
  }
}

/// The four stages H_16 of 16 neighbours, whose runs of 1 to 8 elements are too short for the loops above. The lengths
/// are fixed, so that the compiler unrolls them.
template <class T>
void transform_16(T* x) {
  for (Index half = 1; half < 16; half *= 2)
    for (Index begin = 0; begin < 16; begin += 2 * half)
      for (Index j = begin; j < begin + half; ++j) butterfly(x[j], x[j + half]);
}

/// x <- (H_rows (x) I_cols) x, x of rows * cols elements side by side.
template <class T>
void transform_contiguous(T* x, Index rows, Index cols) {
  const Index size = rows * cols;
  Index done = cols;  // elements of each run that is already transformed
  if (cols == 1 && rows >= 16) {
    for (Index begin = 0; begin < size; begin += 16) transform_16(x + begin);
    done = 16;
  }
  for (; 4 * done <= size; done *= 4)
    for (Index begin = 0; begin < size; begin += 4 * done) radix_4_stages(x + begin, done);
  if (done < size) radix_2_stage(x, done);
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

}  // namespace

const nearlinear::linalg::HadamardKernels nearlinear::linalg::hadamard_kernels = {
    .transform_tile_f32 = transform_tile<float>,
    .transform_tile_f64 = transform_tile<double>,
};

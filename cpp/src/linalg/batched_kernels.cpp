// Compiled once per instruction set; see core/dispatch.hpp for the rules.
//
// A register holds the same entry of as many systems as it has lanes. Every step of the textbook's algorithm is then
// one instruction for all of them, roots and divisions too, nothing is shuffled but when systems are read and written,
// and no system can see another: each lane computes what it would compute alone.
#include "linalg/batched_kernels.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "linalg/packets.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::Index;
using nearlinear::linalg::BatchedKernelsFor;
using nearlinear::linalg::Packet;
using nearlinear::linalg::square_root;
using nearlinear::linalg::Stack;
using nearlinear::linalg::width;

constexpr int block_cols = 4;  // with 3 rows: 12 sums, 3 factors and one more, the 16 registers of AVX2
constexpr int block_rows = 3;

/// Rows 0, ..., k - 1 are the lower triangles of A and become those of L, rows from k on are right-hand sides, as rows,
/// and become those of L^{-1} B, then those of A^{-1} B. An entry is `lanes` numbers side by side.
template <class T>
class Tile {
 public:
  using Packet = nearlinear::linalg::Packet<T>;
  static constexpr Index lanes = width<T>;

  Tile(Index k, Index stride, T* entries, T* inverses)
      : k_(k), stride_(stride), entries_(entries), inverses_(inverses) {}

  [[nodiscard]] T* row(Index i) const { return entries_ + i * stride_ * lanes; }
  [[nodiscard]] T* inverse_diagonal(Index j) const { return inverses_ + j * lanes; }
  [[nodiscard]] Index size() const { return k_; }
  [[nodiscard]] Index stride() const { return stride_; }

  /// A pivot that is not positive makes its inverse root infinite or NaN, an infinite one 0. Nothing stops for it: the
  /// other lanes go on.
  [[nodiscard]] bool has_good_pivots() const {
    bool good = true;
    for (Index j = 0; j < k_ * lanes; ++j) good &= is_good(inverses_[j]);
    return good;
  }

  [[nodiscard]] Index first_bad_pivot(Index lane) const {
    for (Index j = 0; j < k_; ++j)
      if (!is_good(inverse_diagonal(j)[lane])) return j + 1;
    return 0;
  }

  /// L, and the first `width` right-hand sides on the way, which are further rows of the same recurrence.
  void factor(Index width) const {
    for_columns([this, width](auto cols, Index j) {
      factor_diagonal<cols()>(j);
      eliminate<cols()>(j, j + cols(), k_ + width);
    });
  }

  /// Right-hand sides that come when the factor is there.
  void forward(Index width) const {
    for_columns([this, width](auto cols, Index j) { eliminate<cols()>(j, k_, k_ + width); });
  }

  /// L^T X = Y.
  void backward(Index width) const {
    const Index rest = k_ % block_cols;
    for_rest(rest, [&](auto cols) { backward_rows<cols()>(k_ - rest, width); });
    for (Index j = k_ - rest - block_cols; j >= 0; j -= block_cols) backward_rows<block_cols>(j, width);
  }

 private:
  template <int n>
  using Constant = std::integral_constant<int, n>;

  template <class Body>
  static void for_rest(Index rest, const Body& body) {
    if (rest == 1) body(Constant<1>());
    if (rest == 2) body(Constant<2>());
    if (rest == 3) body(Constant<3>());
  }

  template <class Body>
  void for_columns(const Body& body) const {
    Index j = 0;
    for (; j + block_cols <= k_; j += block_cols) body(Constant<block_cols>(), j);
    for_rest(k_ - j, [&](auto cols) { body(cols, j); });
  }

  static bool is_good(T inverse) { return (inverse > 0) & (inverse <= std::numeric_limits<T>::max()); }

  static Packet load(const T* from) { return ei::pload<Packet>(from); }

  /// sum_{p < j} l_{ip} l_{cp} for rows i, ... and columns c = j, ... of the block at (i, j), taken from its entries.
  template <int rows, int cols>
  void subtract_products(const T* row_i, const T* row_j, Index depth, Packet (&block)[rows][cols]) const {
    Packet sums[rows][cols];
#pragma GCC unroll 4
    for (int a = 0; a < rows; ++a)
#pragma GCC unroll 4
      for (int b = 0; b < cols; ++b) sums[a][b] = ei::pset1<Packet>(T{0});
    const Index distance = stride_ * lanes;
    for (Index p = 0; p < depth; ++p) {
      Packet left[rows];
#pragma GCC unroll 4
      for (int a = 0; a < rows; ++a) left[a] = load(row_i + a * distance + p * lanes);
#pragma GCC unroll 4
      for (int b = 0; b < cols; ++b) {
        const Packet right = load(row_j + b * distance + p * lanes);
#pragma GCC unroll 4
        for (int a = 0; a < rows; ++a) sums[a][b] = ei::pmadd(left[a], right, sums[a][b]);
      }
    }
#pragma GCC unroll 4
    for (int a = 0; a < rows; ++a)
#pragma GCC unroll 4
      for (int b = 0; b < cols; ++b)
        block[a][b] = ei::psub(load(row_i + a * distance + (depth + b) * lanes), sums[a][b]);
  }

  /// The block on the diagonal, whose upper half is computed and not used: four columns are too few to mind.
  template <int cols>
  void factor_diagonal(Index j) const {
    Packet block[cols][cols];
    subtract_products<cols, cols>(row(j), row(j), j, block);
#pragma GCC unroll 4
    for (int c = 0; c < cols; ++c) {
      const Packet inverse = ei::pdiv(ei::pset1<Packet>(T{1}), square_root(block[c][c]));
      ei::pstore(inverse_diagonal(j + c), inverse);
#pragma GCC unroll 4
      for (int a = c + 1; a < cols; ++a) {
        block[a][c] = ei::pmul(block[a][c], inverse);
        ei::pstore(row(j + a) + (j + c) * lanes, block[a][c]);
      }
#pragma GCC unroll 4
      for (int b = c + 1; b < cols; ++b) {
        const Packet factor = ei::pnegate(block[b][c]);
#pragma GCC unroll 4
        for (int a = b; a < cols; ++a) block[a][b] = ei::pmadd(block[a][c], factor, block[a][b]);
      }
    }
  }

  /// Columns j, ... of rows [begin, end), which lie below the block on the diagonal.
  template <int cols>
  void eliminate(Index j, Index begin, Index end) const {
    Index i = begin;
    for (; i + block_rows <= end; i += block_rows) eliminate_block<block_rows, cols>(i, j);
    if (end - i == 2) eliminate_block<2, cols>(i, j);
    if (end - i == 1) eliminate_block<1, cols>(i, j);
  }

  template <int rows, int cols>
  void eliminate_block(Index i, Index j) const {
    Packet block[rows][cols];
    subtract_products<rows, cols>(row(i), row(j), j, block);
#pragma GCC unroll 4
    for (int c = 0; c < cols; ++c) {
      const Packet inverse = load(inverse_diagonal(j + c));
#pragma GCC unroll 4
      for (int a = 0; a < rows; ++a) {
        block[a][c] = ei::pmul(block[a][c], inverse);
        ei::pstore(row(i + a) + (j + c) * lanes, block[a][c]);
      }
#pragma GCC unroll 4
      for (int b = c + 1; b < cols; ++b) {
        const Packet factor = ei::pnegate(load(row(j + b) + (j + c) * lanes));
#pragma GCC unroll 4
        for (int a = 0; a < rows; ++a) block[a][b] = ei::pmadd(block[a][c], factor, block[a][b]);
      }
    }
  }

  template <int cols>
  void backward_rows(Index j, Index width) const {
    Index c = 0;
    for (; c + block_rows <= width; c += block_rows) backward_block<block_rows, cols>(k_ + c, j);
    if (width - c == 2) backward_block<2, cols>(k_ + c, j);
    if (width - c == 1) backward_block<1, cols>(k_ + c, j);
  }

  /// x_j = (y_j - sum_{i > j} l_ij x_i) / l_jj for unknowns j, ..., j + cols - 1, the later ones being known.
  template <int rows, int cols>
  void backward_block(Index i, Index j) const {
    Packet block[rows][cols];
    const Index distance = stride_ * lanes;
    T* const y = row(i);
#pragma GCC unroll 4
    for (int a = 0; a < rows; ++a)
#pragma GCC unroll 4
      for (int b = 0; b < cols; ++b) block[a][b] = ei::pset1<Packet>(T{0});
    const T* l = row(j + cols) + j * lanes;
    for (Index p = j + cols; p < k_; ++p, l += distance) {
      Packet x[rows];
#pragma GCC unroll 4
      for (int a = 0; a < rows; ++a) x[a] = load(y + a * distance + p * lanes);
#pragma GCC unroll 4
      for (int b = 0; b < cols; ++b) {
        const Packet right = load(l + b * lanes);
#pragma GCC unroll 4
        for (int a = 0; a < rows; ++a) block[a][b] = ei::pmadd(x[a], right, block[a][b]);
      }
    }
#pragma GCC unroll 4
    for (int a = 0; a < rows; ++a)
#pragma GCC unroll 4
      for (int b = 0; b < cols; ++b) block[a][b] = ei::psub(load(y + a * distance + (j + b) * lanes), block[a][b]);
#pragma GCC unroll 4
    for (int c = cols - 1; c >= 0; --c) {
      const Packet inverse = load(inverse_diagonal(j + c));
#pragma GCC unroll 4
      for (int a = 0; a < rows; ++a) {
        block[a][c] = ei::pmul(block[a][c], inverse);
        ei::pstore(y + a * distance + (j + c) * lanes, block[a][c]);
      }
#pragma GCC unroll 4
      for (int b = 0; b < c; ++b) {
        const Packet factor = ei::pnegate(load(row(j + c) + (j + b) * lanes));
#pragma GCC unroll 4
        for (int a = 0; a < rows; ++a) block[a][b] = ei::pmadd(block[a][c], factor, block[a][b]);
      }
    }
  }

  Index k_;
  Index stride_;
  T* entries_;
  T* inverses_;
};

template <class T>
using Square = ei::PacketBlock<Packet<T>, width<T>>;

/// lanes x lanes numbers, one row from every system, transposed.
template <class T, std::size_t lanes>
void gather_square(const T* const (&from)[lanes], Index offset, T* to) {
  Square<T> square;
  for (std::size_t l = 0; l < lanes; ++l) square.packet[l] = ei::ploadu<Packet<T>>(from[l] + offset);
  ei::ptranspose(square);
  for (std::size_t l = 0; l < lanes; ++l) ei::pstore(to + l * lanes, square.packet[l]);
}

template <class T, std::size_t lanes>
void scatter_square(const T* from, T* const (&to)[lanes], Index offset) {
  Square<T> square;
  for (std::size_t l = 0; l < lanes; ++l) square.packet[l] = ei::pload<Packet<T>>(from + l * lanes);
  ei::ptranspose(square);
  for (std::size_t l = 0; l < lanes; ++l) ei::pstoreu(to[l] + offset, square.packet[l]);
}

/// `count` neighbours of every system, so that those of the same place lie side by side.
template <class T, std::size_t lanes>
void gather_run(const T* const (&from)[lanes], Index offset, Index count, T* to) {
  constexpr auto width = static_cast<Index>(lanes);
  Index j = 0;
  for (; j + width <= count; j += width) gather_square<T>(from, offset + j, to + j * width);
  for (; j < count; ++j)
    for (std::size_t l = 0; l < lanes; ++l) to[j * width + static_cast<Index>(l)] = from[l][offset + j];
}

/// Back to the first `systems` of them.
template <class T, std::size_t lanes>
void scatter_run(const T* from, Index count, Index systems, T* const (&to)[lanes]) {
  constexpr auto width = static_cast<Index>(lanes);
  Index j = 0;
  if (systems == width)
    for (; j + width <= count; j += width) scatter_square<T>(from + j * width, to, j);
  for (; j < count; ++j)
    for (Index l = 0; l < systems; ++l) to[l][j] = from[j * width + l];
}

/// Asks for the next group's memory while this one is computed: streams that jump every few cache lines are beyond the
/// hardware's own prefetching. Long ones are not (measured), and ask for more than the processor keeps track of.
template <class T>
void prefetch(Stack<const T> a, Index k, Index begin, Index end) {
  constexpr Index line = 64 / Index{sizeof(T)}, longest = 2048 / Index{sizeof(T)};
  const Index size = (k - 1) * a.row_stride + k;
  if (size > longest) return;
  for (Index s = begin; s < end; ++s)
    for (Index i = 0; i < size; i += line) __builtin_prefetch(a.data + s * a.matrix_stride + i);
}

/// A group of systems on its way in and out.
template <class T>
class Group {
 public:
  static constexpr Index lanes = width<T>;

  Group(Index first, Index systems, Stack<const T> a, Stack<const T> b, Stack<T> x)
      : systems_(systems), a_row_stride_(a.row_stride), b_row_stride_(b.row_stride), x_row_stride_(x.row_stride) {
    for (Index l = 0; l < lanes; ++l) {
      const Index s = first + (l < systems ? l : systems - 1);  // lanes to spare repeat the last system
      a_[l] = a.data + s * a.matrix_stride;
      b_[l] = b.data + s * b.matrix_stride;
      x_[l] = x.data + s * x.matrix_stride;
    }
  }

  void read_matrices(const Tile<T>& tile, T ridge) const {
    const Index k = tile.size();
    if (a_row_stride_ == k && tile.stride() == k && k <= 3 * lanes) {
      gather_run<T>(a_, 0, k * k, tile.row(0));  // as one run; what lies above the diagonal comes along unused
    } else {
      for (Index i = 0; i < k; ++i) {
        const Index whole_registers = (i + lanes) / lanes * lanes;
        gather_run<T>(a_, i * a_row_stride_, whole_registers <= k ? whole_registers : i + 1, tile.row(i));
      }
    }
    for (Index i = 0; i < k; ++i)
      for (Index l = 0; l < lanes; ++l) tile.row(i)[i * lanes + l] += ridge;
  }

  void read_rhs(const Tile<T>& tile, Index begin, Index width) const {
    const Index k = tile.size();
    if (width == 1 && b_row_stride_ == 1) return gather_run<T>(b_, 0, k, tile.row(k));
    for (Index i = 0; i < k; ++i)
      for (Index c = 0; c < width; ++c)
        for (Index l = 0; l < lanes; ++l) tile.row(k + c)[i * lanes + l] = b_[l][i * b_row_stride_ + begin + c];
  }

  void write_solutions(const Tile<T>& tile, Index begin, Index width) const {
    const Index k = tile.size();
    if (width == 1 && x_row_stride_ == 1) return scatter_run<T>(tile.row(k), k, systems_, x_);
    for (Index l = 0; l < systems_; ++l)
      for (Index i = 0; i < k; ++i)
        for (Index c = 0; c < width; ++c) x_[l][i * x_row_stride_ + begin + c] = tile.row(k + c)[i * lanes + l];
  }

  void write_status(const Tile<T>& tile, Index r, Index* status) const {
    const bool all_good = tile.has_good_pivots();
    for (Index l = 0; l < systems_; ++l) {
      status[l] = all_good ? 0 : tile.first_bad_pivot(l);
      if (status[l] == 0) continue;
      for (Index i = 0; i < tile.size(); ++i) std::fill_n(x_[l] + i * x_row_stride_, r, not_a_number);
    }
  }

 private:
  static constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

  Index systems_;
  Index a_row_stride_;
  Index b_row_stride_;
  Index x_row_stride_;
  const T* a_[lanes];
  const T* b_[lanes];
  T* x_[lanes];
};

template <class T>
void cholesky_solve(Index count, Index k, Index r, Stack<const T> a, T ridge, Stack<const T> b, Stack<T> x,
                    Index* status, T* scratch) noexcept {
  constexpr Index lanes = width<T>;
  const Index stride = nearlinear::linalg::batched_stride(k), width = nearlinear::linalg::batched_width(k, r);
  const auto address = reinterpret_cast<std::uintptr_t>(scratch);
  constexpr std::uintptr_t alignment = sizeof(T) * lanes;
  T* const entries = scratch + (alignment - address % alignment) % alignment / sizeof(T);
  const Tile<T> tile(k, stride, entries, entries + (k + width) * stride * lanes);

  for (Index first = 0; first < count; first += lanes) {
    const Index systems = std::min(lanes, count - first);
    const Group<T> group(first, systems, a, b, x);
    group.read_matrices(tile, ridge);
    group.read_rhs(tile, 0, width);
    prefetch(a, k, first + systems, std::min(count, first + systems + lanes));
    tile.factor(width);
    tile.backward(width);
    group.write_solutions(tile, 0, width);
    for (Index begin = width; begin < r; begin += width) {
      const Index here = std::min(width, r - begin);
      group.read_rhs(tile, begin, here);
      tile.forward(here);
      tile.backward(here);
      group.write_solutions(tile, begin, here);
    }
    group.write_status(tile, r, status + first);
  }
}

template <class T>
constexpr BatchedKernelsFor<T> table = {.lanes = width<T>, .cholesky_solve = cholesky_solve<T>};

}  // namespace

const nearlinear::linalg::BatchedKernels nearlinear::linalg::batched_kernels = {.f32 = table<float>,
                                                                                .f64 = table<double>};

// Compiled once per instruction set; see core/dispatch.hpp for the rules. Loops over rows of a panel.
#include <cstring>
#include <type_traits>

#include "completion/kernel_functions.hpp"
#include "completion/panel.hpp"

namespace nearlinear::completion {
namespace {

constexpr int tile_rows = W == 8 ? 8 : 4;  // times two packets: sums that fit the registers

/// G_rc += sum_t panel_t[row + r] panel_t[col + c].
template <int rows, int packets>
void add_tile(Index count, Index stride, const double* panel, const double* left, double* G) {
  P sums[rows][packets];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < packets; ++c) sums[r][c] = ei::pload<P>(G + r * stride + c * W);
  for (Index t = 0; t < count; ++t) {
    P right[packets];
#pragma GCC unroll 2
    for (int c = 0; c < packets; ++c) right[c] = ei::pload<P>(panel + t * stride + c * W);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const P value = ei::pset1<P>(left[t * stride + r]);
#pragma GCC unroll 2
      for (int c = 0; c < packets; ++c) sums[r][c] = ei::pmadd(value, right[c], sums[r][c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int c = 0; c < packets; ++c) ei::pstore(G + r * stride + c * W, sums[r][c]);
}

/// values_t <- a_t^T x for rows of a panel, up to a whole register; the rows behind them may hold anything.
void panel_products(Index count, Index stride, const double* panel, const double* x, double* values) {
  for (Index t = 0; t < count; t += W)
    ei::pstore(values + t, row_products(stride, [=](int lane) { return panel + (t + lane) * stride; }, x));
}

/// The lower triangle of G += P^T P, up to row `rows`.
void add_gram(Index count, Index stride, Index rows, const double* panel, double* G) {
  const auto add = [&]<int height>(std::integral_constant<int, height>, Index p) {
    const Index cols = std::min(stride, (p + height + W - 1) / W * W);
    Index q = 0;
    for (; q + 2 * W <= cols; q += 2 * W) add_tile<height, 2>(count, stride, panel + q, panel + p, G + p * stride + q);
    if (q < cols) add_tile<height, 1>(count, stride, panel + q, panel + p, G + p * stride + q);
  };
  Index p = 0;
  for (; p + tile_rows <= rows || (tile_rows == 8 && rows - p > 4); p += tile_rows)
    add(std::integral_constant<int, tile_rows>{}, p);
  for (; p < rows; p += 4) add(std::integral_constant<int, 4>{}, p);
}

}  // namespace

void normal_equations(const Lines& lines, const Factor& other, double* gram, double* rhs, double* squares,
                      double* panel) noexcept {
  const Index stride = other.stride, unknowns = other.unknowns, chunk = panel_rows(stride);
  // Where a row of the panel has a place to spare, y is one more of its columns, and the matrix has all there is.
  const bool has_place = unknowns < stride;
  double* const y = panel + chunk * stride;
  for (Index i = 0; i < lines.count; ++i) {
    double* const G = gram + i * stride * stride;
    double* const b = rhs + i * stride;
    std::memset(G, 0, static_cast<std::size_t>(stride * stride) * sizeof(double));
    std::memset(b, 0, static_cast<std::size_t>(stride) * sizeof(double));
    squares[i] = 0;
    for (Index begin = lines.begin[i]; begin < lines.begin[i + 1]; begin += chunk) {
      const Index end = std::min(lines.begin[i + 1], begin + chunk), count = end - begin;
      gather(lines, begin, end, other, panel, y);
      if (has_place) {
        for (Index t = 0; t < count; ++t) panel[t * stride + unknowns] = y[t];
        add_gram(count, stride, unknowns + 1, panel, G);
      } else {
        squares[i] += sum_of_squares(count, y);
        add_products(count, stride, panel, y, b);
        add_gram(count, stride, unknowns, panel, G);
      }
    }
    if (!has_place) continue;
    std::copy_n(G + unknowns * stride, unknowns, b);
    squares[i] = G[unknowns * stride + unknowns];
  }
}

void residuals(const Lines& lines, const Factor& other, const double* x, double* squares, double* gradient,
               double* errors, double* panel) noexcept {
  const Index stride = other.stride, chunk = panel_rows(stride);
  double* const y = panel + chunk * stride;
  alignas(64) double products[3072 / 8 + 8];
  for (Index i = 0; i < lines.count; ++i) {
    squares[i] = 0;
    if (gradient != nullptr) std::fill_n(gradient + i * stride, stride, 0.0);
    for (Index begin = lines.begin[i]; begin < lines.begin[i + 1]; begin += chunk) {
      const Index end = std::min(lines.begin[i + 1], begin + chunk), count = end - begin;
      gather(lines, begin, end, other, panel, y);
      panel_products(count, stride, panel, x + i * stride, products);
      for (Index t = 0; t < count; ++t) products[t] -= y[t];
      squares[i] += sum_of_squares(count, products);
      if (gradient != nullptr) add_products(count, stride, panel, products, gradient + i * stride);
      if (errors != nullptr)
        for (Index t = 0; t < count; ++t) errors[begin + t] = at_weight(lines, begin + t) * products[t];
    }
  }
}

/// Rows [a_t, d_t] of entries [begin, begin + count) become rows of two panels, and their products a_t^T p + d_t^T o
/// `values`.
void gather_pairs(const Lines& lines, Index begin, Index count, Index stride, const double* pairs, const double* p,
                  const double* o, double* first, double* second, double* values) {
  const Index last = lines.begin[lines.count];
  for (Index t = 0; t < count; t += W) {
    P parts[W];
    for (int lane = 0; lane < W; ++lane) {
      P part = ei::pset1<P>(0.0);
      if (t + lane < count) {
        const Index e = begin + t + lane;
        if (e + ahead < last) prefetch(pairs + lines.at[e + ahead] * 2 * stride, 2 * stride);
        const double* const row = pairs + lines.at[e] * 2 * stride;
        for (Index q = 0; q < stride; q += W) {
          const P a = ei::pload<P>(row + q), d = ei::pload<P>(row + stride + q);
          ei::pstore(first + (t + lane) * stride + q, a);
          if (second != nullptr) ei::pstore(second + (t + lane) * stride + q, d);
          if (p != nullptr) part = ei::pmadd(a, ei::pload<P>(p + q), part);
          if (o != nullptr) part = ei::pmadd(d, ei::pload<P>(o + q), part);
        }
      }
      parts[lane] = part;
    }
    ei::pstore(values + t, sums_of(parts));
  }
}

void coupling(const Lines& lines, Index stride, Index rank, const double* pairs, const double* p, const double* o,
              const double* errors, double* z, double* panel) noexcept {
  const Index chunk = panel_rows(stride);
  double* const others = errors != nullptr ? panel + chunk * stride : nullptr;
  double* const of_errors = panel + 2 * chunk * stride;
  alignas(64) double values[3072 / 8 + 8];
  for (Index i = 0; i < lines.count; ++i) {
    double* const to = z + i * stride;
    std::fill_n(to, stride, 0.0);
    std::fill_n(of_errors, stride, 0.0);
    for (Index begin = lines.begin[i]; begin < lines.begin[i + 1]; begin += chunk) {
      const Index count = std::min(lines.begin[i + 1] - begin, chunk);
      gather_pairs(lines, begin, count, stride, pairs, p == nullptr ? p : p + i * stride,
                   o == nullptr ? o : o + i * stride, panel, others, values);
      if (lines.root_weight != nullptr)
        for (Index t = 0; t < count; ++t) values[t] *= lines.root_weight[begin + t] * lines.root_weight[begin + t];
      add_products(count, stride, panel, values, to);
      if (errors != nullptr) add_products(count, stride, others, errors + begin, of_errors);
    }
    for (Index q = 0; q < rank; ++q) to[q] += of_errors[q];
  }
}

/// Registers q, ..., q + packets - 1 of weighted sums.
template <int packets>
void sum_rows(const Lines& lines, Index i, Index stride, const double* other, double* to) {
  P sums[packets];
#pragma GCC unroll 4
  for (int c = 0; c < packets; ++c) sums[c] = ei::pset1<P>(0.0);
  const Index end = lines.begin[i + 1], last = lines.begin[lines.count];
  for (Index e = lines.begin[i]; e < end; ++e) {
    if (e + ahead < last) prefetch(other + lines.at[e + ahead] * stride, packets * W);
    const double* const row = other + lines.at[e] * stride;
    const P value = ei::pset1<P>(lines.value[e]);
#pragma GCC unroll 4
    for (int c = 0; c < packets; ++c) sums[c] = ei::pmadd(value, ei::pload<P>(row + c * W), sums[c]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < packets; ++c) ei::pstore(to + c * W, sums[c]);
}

void weighted_sums(const Lines& lines, Index stride, const double* other, double* y) noexcept {
  for (Index i = 0; i < lines.count; ++i) {
    double* const to = y + i * stride;
    Index q = 0;
    for (; q + 4 * W <= stride; q += 4 * W) sum_rows<4>(lines, i, stride, other + q, to + q);
    for (; q + 2 * W <= stride; q += 2 * W) sum_rows<2>(lines, i, stride, other + q, to + q);
    for (; q < stride; q += W) sum_rows<1>(lines, i, stride, other + q, to + q);
  }
}

void apply_each(Index count, Index unknowns, Index stride, const double* matrices, const double* x,
                double* y) noexcept {
  for (Index i = 0; i < count; ++i) {
    const double* const A = matrices + i * unknowns * stride;
    for (Index q = 0; q < stride; q += W) {
      P sum = ei::pset1<P>(0.0);
      for (Index k = 0; k < unknowns; ++k)
        sum = ei::pmadd(ei::pset1<P>(x[i * stride + k]), ei::pload<P>(A + k * stride + q), sum);
      ei::pstore(y + i * stride + q, sum);
    }
  }
}

}  // namespace nearlinear::completion

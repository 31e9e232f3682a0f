/// Rows of the other side's factor, gathered for a line: they stay in the nearest caches and are then used for
/// everything. By rows for normal equations, which are sums of outer products; by columns for conjugate gradients,
/// whose products then need no sums across a register. For files that are compiled once per instruction set alone.
#pragma once

#include <algorithm>

#include "completion/kernels.hpp"
#include "linalg/packets.hpp"

namespace nearlinear::completion {

namespace ei = Eigen::internal;
using P = linalg::Packet<double>;
constexpr int W = linalg::width<double>;
constexpr Index ahead = 12;  // entries whose rows are asked for before they are needed

inline double at_weight(const Lines& lines, Index e) {
  return lines.root_weight == nullptr ? 1.0 : lines.root_weight[e];
}

inline void prefetch(const double* row, Index stride) {
  for (Index q = 0; q < stride; q += 8) __builtin_prefetch(row + q);
}

/// Entries [begin, end) of a line become rows of the panel, of `packets` registers or, if that is 0, of other.stride
/// numbers, and numbers y.
template <int packets>
void gather_rows(const Lines& lines, Index begin, Index end, const Factor& other, double* panel, double* y) {
  const Index stride = packets > 0 ? packets * W : other.stride, bias = other.unknowns - 1;
  const double* const rows = other.data;
  const std::int32_t* const at = lines.at;
  const double* const values = lines.value;
  const double* const roots = lines.root_weight;
  const bool has_bias = other.has_bias;
  const Index last = lines.begin[lines.count];  // also rows of the lines that come next
  for (Index e = begin; e < end; ++e, panel += stride) {
    if (e + ahead < last) prefetch(rows + at[e + ahead] * stride, stride);
    const double* const row = rows + at[e] * stride;
    double root = 1, target = values[e];
    if (roots == nullptr) {
#pragma GCC unroll 4
      for (Index q = 0; q < stride; q += W) ei::pstore(panel + q, ei::pload<P>(row + q));
    } else {
      root = roots[e];
      const P factor = ei::pset1<P>(root);
#pragma GCC unroll 4
      for (Index q = 0; q < stride; q += W) ei::pstore(panel + q, ei::pmul(factor, ei::pload<P>(row + q)));
    }
    if (has_bias) {
      target -= row[bias];
      panel[bias] = root;
    }
    y[e - begin] = root * target;
  }
}

inline void gather(const Lines& lines, Index begin, Index end, const Factor& other, double* panel, double* y) {
  switch (other.stride / W) {
    case 1:
      return gather_rows<1>(lines, begin, end, other, panel, y);
    case 2:
      return gather_rows<2>(lines, begin, end, other, panel, y);
    case 3:
      return gather_rows<3>(lines, begin, end, other, panel, y);
    case 4:
      return gather_rows<4>(lines, begin, end, other, panel, y);
    default:
      return gather_rows<0>(lines, begin, end, other, panel, y);
  }
}

/// b += P^T y. Four sums at a time, as one would wait for itself.
inline void add_products(Index count, Index stride, const double* panel, const double* y, double* b) {
  for (Index q = 0; q < stride; q += W) {
    P sums[4] = {ei::pload<P>(b + q), ei::pset1<P>(0.0), ei::pset1<P>(0.0), ei::pset1<P>(0.0)};
    const double* const column = panel + q;
    Index t = 0;
    for (; t + 4 <= count; t += 4)
#pragma GCC unroll 4
      for (Index l = 0; l < 4; ++l)
        sums[l] = ei::pmadd(ei::pset1<P>(y[t + l]), ei::pload<P>(column + (t + l) * stride), sums[l]);
    for (; t < count; ++t) sums[0] = ei::pmadd(ei::pset1<P>(y[t]), ei::pload<P>(column + t * stride), sums[0]);
    ei::pstore(b + q, ei::padd(ei::padd(sums[0], sums[1]), ei::padd(sums[2], sums[3])));
  }
}

inline double sum_of_squares(Index count, const double* y) {
  double sums[8] = {};
  Index t = 0;
  for (; t + 8 <= count; t += 8)
    for (Index lane = 0; lane < 8; ++lane) sums[lane] += y[t + lane] * y[t + lane];
  for (Index lane = 0; t < count; ++t, ++lane) sums[lane] += y[t] * y[t];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// The sums of W registers, in one.
inline P sums_of(P (&parts)[W]) {
  ei::PacketBlock<P, W> block;
  for (int r = 0; r < W; ++r) block.packet[r] = parts[r];
  ei::ptranspose(block);
  P sum = block.packet[0];
  for (int r = 1; r < W; ++r) sum = ei::padd(sum, block.packet[r]);
  return sum;
}

/// The products of x with W rows, row(0), ..., row(W - 1) of `stride` numbers.
template <class Row>
P row_products(Index stride, const Row& row, const double* x) {
  P parts[W];
#pragma GCC unroll 8
  for (int lane = 0; lane < W; ++lane) parts[lane] = ei::pset1<P>(0.0);
  for (Index q = 0; q < stride; q += W) {
    const P value = ei::pload<P>(x + q);
#pragma GCC unroll 8
    for (int lane = 0; lane < W; ++lane) parts[lane] = ei::pmadd(ei::pload<P>(row(lane) + q), value, parts[lane]);
  }
  return sums_of(parts);
}

/// Entries of a line as columns of the panel, `length` numbers apart: entry t of column q is w_t^{1/2} v_t[q], or
/// w_t^{1/2} for the bias. Behind the entries are zeros up to a whole register.
inline void gather_columns(const Lines& lines, Index begin, Index count, const Factor& other, const double* zeros,
                           Index length, double* panel, double* y) {
  const Index stride = other.stride, bias = other.unknowns - 1;
  for (Index t = 0; t < length; t += W) {
    const double* rows[W];
    alignas(64) double targets[W], roots[W];
    for (int lane = 0; lane < W; ++lane) {
      const Index e = begin + t + lane;
      const bool is_entry = t + lane < count;
      if (t + lane + ahead < count) prefetch(other.data + lines.at[e + ahead] * stride, stride);
      rows[lane] = is_entry ? other.data + lines.at[e] * stride : zeros;
      targets[lane] = is_entry ? lines.value[e] : 0;
      roots[lane] = is_entry ? at_weight(lines, e) : 0;
    }
    const P root = ei::pload<P>(roots);
    for (Index q = 0; q < other.unknowns; q += W) {
      ei::PacketBlock<P, W> block;
      for (int lane = 0; lane < W; ++lane) block.packet[lane] = ei::pload<P>(rows[lane] + q);
      ei::ptranspose(block);
      for (int c = 0; c < W && q + c < other.unknowns; ++c)
        ei::pstore(panel + (q + c) * length + t, ei::pmul(root, block.packet[c]));
    }
    P target = ei::pmul(root, ei::pload<P>(targets));
    if (other.has_bias) {
      double* const at_bias = panel + bias * length + t;
      target = ei::psub(target, ei::pload<P>(at_bias));
      ei::pstore(at_bias, root);
    }
    ei::pstore(y + t, target);
  }
}

}  // namespace nearlinear::completion

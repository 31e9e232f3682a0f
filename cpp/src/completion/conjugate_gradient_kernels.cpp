// Compiled once per instruction set; see core/dispatch.hpp for the rules. A few steps of conjugate gradients for one
// line after the other.
//
// What the line has and its gradient there are computed in double precision, while the rows are gathered; the steps are
// a correction, which the next sweep corrects, and have single precision: half the memory and half the operations.
#include <cmath>

#include "completion/kernel_functions.hpp"
#include "completion/panel.hpp"

namespace nearlinear::completion {
namespace {

using PF = linalg::Packet<float>;
constexpr int WF = linalg::width<float>;
constexpr Index ahead_groups = 1;  // of rows that are asked for before they are needed
constexpr int most_packets = 4;    // of a block: what its products need stays in registers
static_assert(WF <= register_rows);

/// z += C x for a small symmetric matrix, stored whole.
void add_common(Index unknowns, Index stride, const double* common, const double* x, double* z) {
  if (common == nullptr) return;
  for (Index q = 0; q < unknowns; ++q)
    for (Index o = 0; o < unknowns; ++o) z[q] += common[q * stride + o] * x[o];
}

/// Sums and the largest absolute value of `stride` numbers, zeros behind the unknowns.
double dot(Index stride, const double* x, const double* y) {
  P sum = ei::pset1<P>(0.0);
  for (Index q = 0; q < stride; q += W) sum = ei::pmadd(ei::pload<P>(x + q), ei::pload<P>(y + q), sum);
  return ei::predux(sum);
}

double largest(Index stride, const double* x) {
  P result = ei::pset1<P>(0.0);
  for (Index q = 0; q < stride; q += W) result = ei::pmax(result, ei::pabs(ei::pload<P>(x + q)));
  return ei::predux_max(result);
}

constexpr double rounding = 2e-7;          // of a product's factors and of its sum, in single precision
constexpr double rounding_of_rho = 1e-10;  // relative to the first one: of a gradient that sums have made smaller

/// WF rows of a line: where they are, and the residuals of their entries.
struct Group {
  const double* rows[WF];
  alignas(64) double e[WF];
};

/// Entries [begin, begin + count) of a line, count <= WF, and zeros. Rows that count as they are stay where they are.
void fill(const Lines& lines, Index begin, Index count, const Factor& other, double* copies, const double* zeros,
          Group& group) {
  const bool is_whole = count == WF;
  if (lines.root_weight == nullptr && !other.has_bias) {
    for (Index l = 0; l < WF; ++l) {
      const bool is_entry = is_whole || l < count;
      group.rows[l] = is_entry ? other.data + lines.at[begin + l] * other.stride : zeros;
      group.e[l] = is_entry ? lines.value[begin + l] : 0;
    }
  } else {
    gather(lines, begin, begin + count, other, copies, group.e);
    for (Index l = 0; l < WF; ++l) {
      group.rows[l] = l < count ? copies + l * other.stride : zeros;
      group.e[l] = l < count ? group.e[l] : 0;
    }
  }
}

/// Of W rows, e <- e - P x, r <- r + P^T e, squares <- squares + those of columns.
void subtract_model(Index stride, const double* const* rows, const double* x, double* e, double* r, double* squares) {
  ei::pstore(e, ei::psub(ei::pload<P>(e), row_products(stride, [rows](int lane) { return rows[lane]; }, x)));
  for (Index q = 0; q < stride; q += W) {
    P sum = ei::pload<P>(r + q), square = ei::pload<P>(squares + q);
#pragma GCC unroll 8
    for (int lane = 0; lane < W; ++lane) {
      const P value = ei::pload<P>(rows[lane] + q);
      sum = ei::pmadd(ei::pset1<P>(e[lane]), value, sum);
      square = ei::pmadd(value, value, square);
    }
    ei::pstore(r + q, sum);
    ei::pstore(squares + q, square);
  }
}

/// The rows of a line, in blocks of up to most_packets registers of them, each block by columns. Columns are in units
/// in which single precision holds them.
class Blocks {
 public:
  Blocks(Index length, Index unknowns, float* numbers, float* sums)
      : length_(length), unknowns_(unknowns), numbers_(numbers), sums_(sums) {}

  /// Takes rows t, ..., t + WF - 1 of `stride` numbers, times those of `scale`.
  void put(Index t, Index stride, const double* const* rows, const double* scale, float* scratch) {
    for (Index lane = 0; lane < WF; ++lane)
      for (Index q = 0; q < stride; ++q) scratch[lane * stride + q] = static_cast<float>(scale[q] * rows[lane][q]);
    const Index block = t / block_rows * block_rows, width = std::min(block_rows, length_ - block);
    float* const to = numbers_ + block * unknowns_ + (t - block);
    const Index whole = unknowns_ / WF * WF;
    for (Index q = 0; q < whole; q += WF) {
      ei::PacketBlock<PF, WF> columns;
#pragma GCC unroll 16
      for (int lane = 0; lane < WF; ++lane) columns.packet[lane] = ei::ploadu<PF>(scratch + lane * stride + q);
      ei::ptranspose(columns);
#pragma GCC unroll 16
      for (int c = 0; c < WF; ++c) ei::pstoreu(to + (q + c) * width, columns.packet[c]);
    }
    for (Index q = whole; q < unknowns_; ++q)
      for (int lane = 0; lane < WF; ++lane) to[q * width + lane] = scratch[lane * stride + q];
  }

  /// product <- A x and, unless `z` is null, z <- A^T A x. Returns |A x|^2.
  double multiply(const float* x, float* product, double* z) const {
    if (z != nullptr) std::fill_n(sums_, unknowns_ * WF, 0.0F);
    double square = 0;
    for (Index block = 0; block < length_; block += block_rows) {
      const float* const columns = numbers_ + block * unknowns_;
      switch (std::min(block_rows, length_ - block) / WF) {
        case 1:
          square += multiply_block<1>(columns, x, product + block, z != nullptr);
          break;
        case 2:
          square += multiply_block<2>(columns, x, product + block, z != nullptr);
          break;
        case 3:
          square += multiply_block<3>(columns, x, product + block, z != nullptr);
          break;
        default:
          square += multiply_block<4>(columns, x, product + block, z != nullptr);
      }
    }
    if (z != nullptr) add_lanes(z);
    return square;
  }

 private:
  static constexpr Index block_rows = most_packets * WF;

  template <int packets>
  double multiply_block(const float* columns, const float* x, float* product, bool wants_sums) const {
    constexpr Index width = packets * WF;
    PF even[packets], odd[packets];
#pragma GCC unroll 4
    for (int l = 0; l < packets; ++l) even[l] = odd[l] = ei::pset1<PF>(0.0F);
    Index q = 0;
    for (; q + 2 <= unknowns_; q += 2) {
      const PF first = ei::pset1<PF>(x[q]), second = ei::pset1<PF>(x[q + 1]);
#pragma GCC unroll 4
      for (int l = 0; l < packets; ++l) {
        even[l] = ei::pmadd(first, ei::ploadu<PF>(columns + q * width + l * WF), even[l]);
        odd[l] = ei::pmadd(second, ei::ploadu<PF>(columns + (q + 1) * width + l * WF), odd[l]);
      }
    }
    if (q < unknowns_) {
      const PF first = ei::pset1<PF>(x[q]);
#pragma GCC unroll 4
      for (int l = 0; l < packets; ++l)
        even[l] = ei::pmadd(first, ei::ploadu<PF>(columns + q * width + l * WF), even[l]);
    }
    PF square = ei::pset1<PF>(0.0F);
#pragma GCC unroll 4
    for (int l = 0; l < packets; ++l) {
      even[l] = ei::padd(even[l], odd[l]);
      ei::pstoreu(product + l * WF, even[l]);
      square = ei::pmadd(even[l], even[l], square);
    }
    if (wants_sums)
      for (q = 0; q < unknowns_; ++q) {
        PF sum = ei::ploadu<PF>(sums_ + q * WF);
#pragma GCC unroll 4
        for (int l = 0; l < packets; ++l) sum = ei::pmadd(even[l], ei::ploadu<PF>(columns + q * width + l * WF), sum);
        ei::pstoreu(sums_ + q * WF, sum);
      }
    return static_cast<double>(ei::predux(square));
  }

  /// z <- the sums of the registers of `sums_`.
  void add_lanes(double* z) const {
    Index q = 0;
    alignas(64) float totals[WF];
    for (; q + WF <= unknowns_; q += WF) {
      ei::PacketBlock<PF, WF> parts;
#pragma GCC unroll 16
      for (int lane = 0; lane < WF; ++lane) parts.packet[lane] = ei::ploadu<PF>(sums_ + (q + lane) * WF);
      ei::ptranspose(parts);
      PF total = parts.packet[0];
#pragma GCC unroll 16
      for (int lane = 1; lane < WF; ++lane) total = ei::padd(total, parts.packet[lane]);
      ei::pstoreu(totals, total);
      for (int lane = 0; lane < WF; ++lane) z[q + lane] = static_cast<double>(totals[lane]);
    }
    for (; q < unknowns_; ++q) z[q] = static_cast<double>(ei::predux(ei::ploadu<PF>(sums_ + q * WF)));
  }

  Index length_;
  Index unknowns_;
  float* numbers_;
  float* sums_;
};

/// The line's rows, whose model has been subtracted already.
void put_rows(const Lines& lines, Index begin, Index count, const Factor& other, double* copies, const double* zeros,
              const double* scale, float* scratch, Group& group, Blocks& blocks) {
  for (Index t = 0; t < count; t += WF) {
    fill(lines, begin + t, std::min<Index>(count - t, WF), other, copies, zeros, group);
    blocks.put(t, other.stride, group.rows, scale, scratch);
  }
}

/// Whether the line's numbers are so small in the units of all lines that single precision loses their products. Of the
/// columns, `squares` are the sums of squares.
bool is_lost(Index unknowns, const double* squares, const double* scale) {
  constexpr double least = 1e-20;  // above, what is too small for single precision is less than its rounding
  for (Index k = 0; k < unknowns; ++k)
    if (squares[k] > 0 && squares[k] * scale[k] * scale[k] < least) return true;
  return false;
}

/// The largest weight's root, in whose unit those of the line are.
double largest_root(const Lines& lines, Index begin, Index end) {
  if (lines.root_weight == nullptr) return 1;
  double largest = 0;
  for (Index e = begin; e < end; ++e) largest = std::max(largest, lines.root_weight[e]);
  return largest > 0 ? largest : 1;
}

}  // namespace

void conjugate_gradients(const Lines& lines, const Factor& other, const double* units, const double* ridge,
                         const double* common, Index steps, double* x, double* squares, double* panel) noexcept {
  const Index stride = other.stride, unknowns = other.unknowns;
  Index longest = 0;
  for (Index i = 0; i < lines.count; ++i) longest = std::max(longest, lines.begin[i + 1] - lines.begin[i]);
  double* const r = panel;
  double* const inverse = r + stride;
  double* const p = inverse + stride;
  double* const q = p + stride;
  double* const rest = q + stride;
  double* const zeros = rest + stride;
  double* const scale = zeros + stride;
  double* const unit = scale + stride;
  double* const copies = unit + stride;
  double* const e = copies + register_rows * stride;
  // Of single precision, in the same memory.
  auto* const scratch = reinterpret_cast<float*>(e + (longest + register_rows - 1) / register_rows * register_rows);
  float* const sums = scratch + register_rows * stride;
  float* const direction = sums + register_rows * stride;
  float* const product = direction + 2 * stride;
  std::fill_n(zeros, stride, 0.0);
  Group group;
  const Index last = lines.begin[lines.count];
  for (Index i = 0; i < lines.count; ++i) {
    const Index begin = lines.begin[i], count = lines.begin[i + 1] - begin, length = (count + WF - 1) / WF * WF;
    Blocks blocks(length, unknowns, product + length, sums);
    double* const u = x + i * stride;
    const double root = largest_root(lines, begin, begin + count);
    for (Index k = 0; k < stride; ++k) {
      unit[k] = root * units[k];
      scale[k] = 1 / unit[k];
    }
    std::fill_n(r, 4 * stride, 0.0);
    for (Index t = 0; t < length; t += WF) {
      const Index here = std::clamp<Index>(count - t, 0, WF);
      const Index soon = std::min(begin + t + ahead_groups * WF, last), then = std::min(soon + WF, last);
      for (Index a = soon; a < then; ++a) prefetch(other.data + lines.at[a] * stride, stride);
      fill(lines, begin + t, here, other, copies, zeros, group);
      for (Index l = 0; l < WF; l += W) subtract_model(stride, group.rows + l, u, group.e + l, r, inverse);
      std::copy_n(group.e, WF, e + t);
      blocks.put(t, stride, group.rows, scale, scratch);
    }
    if (is_lost(unknowns, inverse, scale)) {
      for (Index k = 0; k < unknowns; ++k) {
        unit[k] = std::sqrt(inverse[k]);
        scale[k] = unit[k] > 0 ? 1 / unit[k] : 0;
      }
      put_rows(lines, begin, count, other, copies, zeros, scale, scratch, group, blocks);
    }
    add_common(unknowns, stride, common, u, q);
    for (Index k = 0; k < stride; ++k) {
      r[k] -= ridge[k] * u[k] + q[k];
      inverse[k] += ridge[k];
    }
    if (common != nullptr)
      for (Index k = 0; k < unknowns; ++k) inverse[k] += common[k * stride + k];
    for (Index k = 0; k < stride; ++k) {
      inverse[k] = inverse[k] > 0 ? 1 / inverse[k] : 0;
      p[k] = inverse[k] * r[k];
    }
    double rho = dot(stride, p, r), energy = rho;  // p^T D p, for the diagonal D
    // The products are exact up to `uncertain` energy^{1/2}. No step is longer than one for the largest they may be:
    // the objective cannot rise. It ends where rounding may be all that is left of the gradient.
    const double uncertain = rounding * std::sqrt(static_cast<double>(length));
    constexpr double nothing = 1e-290;  // below, numbers lose digits and time
    const double least = std::max(nothing, rounding_of_rho * rho);
    for (Index step = 0; step < steps && rho > least; ++step) {
      // Relative to its largest number, which single precision might not hold.
      for (Index k = 0; k < stride; ++k) q[k] = p[k] * unit[k];
      double size = largest(stride, q);
      if (!(size > 0)) size = 1;
      for (Index k = 0; k < stride; ++k) direction[k] = static_cast<float>(q[k] / size);
      const bool is_last = step + 1 == steps;
      std::fill_n(q, stride, 0.0);
      const double square = blocks.multiply(direction, product, is_last ? nullptr : q);
      std::fill_n(rest, stride, 0.0);
      add_common(unknowns, stride, common, p, rest);
      for (Index k = 0; k < stride; ++k) rest[k] += ridge[k] * p[k];
      const double of_rows = size * std::sqrt(square) + uncertain * std::sqrt(energy);
      const double curvature = of_rows * of_rows + dot(stride, p, rest);
      if (!(curvature > 0)) break;
      const double alpha = rho / curvature, of_product = alpha * size;
      for (Index k = 0; k < stride; ++k) u[k] += alpha * p[k];
      for (Index t = 0; t < length; ++t) e[t] -= of_product * static_cast<double>(product[t]);
      if (is_last) break;
      for (Index k = 0; k < stride; ++k) {
        r[k] -= alpha * (size * unit[k] * q[k] + rest[k]);
        rest[k] = inverse[k] * r[k];
      }
      const double next = dot(stride, r, rest), beta = next / rho;
      energy = next + beta * beta * energy;
      rho = next;
      for (Index k = 0; k < stride; ++k) p[k] = rest[k] + beta * p[k];
    }
    squares[i] = sum_of_squares(length, e);
  }
}

}  // namespace nearlinear::completion

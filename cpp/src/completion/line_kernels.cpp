// Compiled once per instruction set; see core/dispatch.hpp for the rules. Iterative solvers for one line after the
// other, whose rows are columns of a panel.
#include <cmath>

#include "completion/kernel_functions.hpp"
#include "completion/panel.hpp"
#include "nearlinear/core/random.hpp"

namespace nearlinear::completion {
namespace {

/// y <- base + sign P x for the columns P of a panel.
template <bool is_residual>
void multiply(Index length, Index unknowns, const double* panel, const double* x, const double* base, double* y) {
  for (Index t = 0; t < length; t += 2 * W) {
    const bool is_pair = t + W < length;
    P first = is_residual ? ei::pload<P>(base + t) : ei::pset1<P>(0.0);
    P second = is_residual && is_pair ? ei::pload<P>(base + t + W) : ei::pset1<P>(0.0);
    if (is_pair) {
      for (Index q = 0; q < unknowns; ++q) {
        const P value = ei::pset1<P>(is_residual ? -x[q] : x[q]);
        first = ei::pmadd(value, ei::pload<P>(panel + q * length + t), first);
        second = ei::pmadd(value, ei::pload<P>(panel + q * length + t + W), second);
      }
      ei::pstore(y + t + W, second);
    } else {
      for (Index q = 0; q < unknowns; ++q)
        first = ei::pmadd(ei::pset1<P>(is_residual ? -x[q] : x[q]), ei::pload<P>(panel + q * length + t), first);
    }
    ei::pstore(y + t, first);
  }
}

/// z <- P^T y, and with `squares` the sums of squares of P's columns. Four columns share what is read of y.
void multiply_transposed(Index length, Index unknowns, const double* panel, const double* y, double* z) {
  Index q = 0;
  for (; q + 4 <= unknowns; q += 4) {
    P sums[4];
    for (P& sum : sums) sum = ei::pset1<P>(0.0);
    for (Index t = 0; t < length; t += W) {
      const P value = ei::pload<P>(y + t);
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) sums[c] = ei::pmadd(value, ei::pload<P>(panel + (q + c) * length + t), sums[c]);
    }
    for (int c = 0; c < 4; ++c) z[q + c] = ei::predux(sums[c]);
  }
  for (; q < unknowns; ++q) {
    P sum = ei::pset1<P>(0.0);
    for (Index t = 0; t < length; t += W)
      sum = ei::pmadd(ei::pload<P>(y + t), ei::pload<P>(panel + q * length + t), sum);
    z[q] = ei::predux(sum);
  }
}

double dot(Index size, const double* x, const double* y) {
  double sum = 0;
  for (Index q = 0; q < size; ++q) sum += x[q] * y[q];
  return sum;
}

/// z += C x for a small symmetric matrix, stored whole.
void add_common(Index unknowns, Index stride, const double* common, const double* x, double* z) {
  if (common == nullptr) return;
  for (Index q = 0; q < unknowns; ++q) z[q] += dot(unknowns, common + q * stride, x);
}

/// Rows of a line's matrix as columns of a panel: short ones, which stay in the nearest cache.
class ColumnPanel {
 public:
  [[nodiscard]] static Index length_of(Index count) { return (count + 7) / 8 * 8; }

  /// Of `memory` it takes the place of `stride` columns.
  ColumnPanel(const Lines& lines, Index begin, Index count, const Factor& other, const double* zeros, double* memory,
              double* y)
      : length_(length_of(count)), unknowns_(other.unknowns), columns_(memory) {
    gather_columns(lines, begin, count, other, zeros, length_, columns_, y);
  }

  [[nodiscard]] const double* data() const { return columns_; }

  /// e <- y - P x, r <- P^T e, and the sums of squares of P's columns; e holds y.
  void begin(const double* x, double* e, double* r, double* squares) const {
    multiply<true>(length_, unknowns_, columns_, x, e, e);
    multiply_transposed(length_, unknowns_, columns_, e, r);
    for (Index k = 0; k < unknowns_; ++k) {
      P sum = ei::pset1<P>(0.0);
      for (Index t = 0; t < length_; t += W) {
        const P value = ei::pload<P>(columns_ + k * length_ + t);
        sum = ei::pmadd(value, value, sum);
      }
      squares[k] = ei::predux(sum);
    }
  }

  /// product <- P x, z <- P^T product.
  void normal_product(const double* x, double* product, double* z) const {
    multiply<false>(length_, unknowns_, columns_, x, nullptr, product);
    multiply_transposed(length_, unknowns_, columns_, product, z);
  }

 private:
  Index length_;
  Index unknowns_;
  double* columns_;
};

/// The same by rows, long ones: W of them at a time are used for both products while they are in the nearest cache.
class RowPanel {
 public:
  RowPanel(const Lines& lines, Index begin, Index count, const Factor& other, const double*, double* memory, double*)
      : lines_(lines),
        other_(other),
        first_(begin),
        count_(count),
        length_(ColumnPanel::length_of(count)),
        stride_(other.stride),
        rows_(memory) {}

  void begin(const double* x, double* e, double* r, double* squares) const {
    std::fill_n(r, stride_, 0.0);
    std::fill_n(squares, stride_, 0.0);
    alignas(64) double left[W];
    for (Index t = 0; t < length_; t += W) {
      double* const rows = rows_ + t * stride_;
      const Index here = std::clamp<Index>(count_ - t, 0, W);
      gather(lines_, first_ + t, first_ + t + here, other_, rows, e + t);
      std::fill_n(rows + here * stride_, (W - here) * stride_, 0.0);
      std::fill_n(e + t + here, W - here, 0.0);
      const P error = ei::psub(ei::pload<P>(e + t), row_sums(rows, x));
      ei::pstore(e + t, error);
      ei::pstore(left, error);
      for (Index q = 0; q < stride_; q += W) {
        P sum = ei::pload<P>(r + q), square = ei::pload<P>(squares + q);
#pragma GCC unroll 8
        for (int lane = 0; lane < W; ++lane) {
          const P value = ei::pload<P>(rows + lane * stride_ + q);
          sum = ei::pmadd(ei::pset1<P>(left[lane]), value, sum);
          square = ei::pmadd(value, value, square);
        }
        ei::pstore(r + q, sum);
        ei::pstore(squares + q, square);
      }
    }
  }

  void normal_product(const double* x, double* product, double* z) const {
    std::fill_n(z, stride_, 0.0);
    for (Index t = 0; t < length_; t += W) {
      const double* const rows = rows_ + t * stride_;
      ei::pstore(product + t, row_sums(rows, x));
      const double* const factors = product + t;
      for (Index q = 0; q < stride_; q += W) {
        P sum = ei::pload<P>(z + q), other = ei::pset1<P>(0.0);
#pragma GCC unroll 4
        for (int lane = 0; lane < W; lane += 2) {
          sum = ei::pmadd(ei::pset1<P>(factors[lane]), ei::pload<P>(rows + lane * stride_ + q), sum);
          other = ei::pmadd(ei::pset1<P>(factors[lane + 1]), ei::pload<P>(rows + (lane + 1) * stride_ + q), other);
        }
        ei::pstore(z + q, ei::padd(sum, other));
      }
    }
  }

 private:
  /// The products of W rows with x.
  [[nodiscard]] P row_sums(const double* rows, const double* x) const {
    P parts[W];
#pragma GCC unroll 8
    for (int lane = 0; lane < W; ++lane) parts[lane] = ei::pset1<P>(0.0);
    for (Index q = 0; q < stride_; q += W) {
      const P value = ei::pload<P>(x + q);
#pragma GCC unroll 8
      for (int lane = 0; lane < W; ++lane)
        parts[lane] = ei::pmadd(ei::pload<P>(rows + lane * stride_ + q), value, parts[lane]);
    }
    return sums_of(parts);
  }

  const Lines& lines_;
  const Factor& other_;
  Index first_;
  Index count_;
  Index length_;
  Index stride_;
  double* rows_;
};

/// Conjugate gradients for one line; see kernels.hpp.
template <class Panel>
double solve_line(const Lines& lines, Index begin, Index count, const Factor& other, const double* ridge,
                  const double* common, Index steps, double* u, double* memory) {
  const Index stride = other.stride, unknowns = other.unknowns, length = ColumnPanel::length_of(count);
  double* const zeros = memory;
  double* const r = zeros + stride;
  double* const inverse = r + stride;
  double* const p = inverse + stride;
  double* const q = p + stride;
  double* const e = q + stride;
  double* const product = e + length;
  std::fill_n(zeros, 5 * stride, 0.0);
  const Panel panel(lines, begin, count, other, zeros, product + length, e);
  panel.begin(u, e, r, inverse);
  add_common(unknowns, stride, common, u, q);
  double rho = 0;
  for (Index k = 0; k < unknowns; ++k) {
    r[k] -= ridge[k] * u[k] + q[k];
    const double diagonal = inverse[k] + ridge[k] + (common == nullptr ? 0 : common[k * stride + k]);
    inverse[k] = diagonal > 0 ? 1 / diagonal : 0;
    p[k] = inverse[k] * r[k];
    rho += p[k] * r[k];
  }
  constexpr double nothing = 1e-290;  // below, numbers lose digits and time
  for (Index step = 0; step < steps && rho > nothing; ++step) {
    panel.normal_product(p, product, q);
    add_common(unknowns, stride, common, p, q);
    double curvature = 0;
    for (Index k = 0; k < unknowns; ++k) {
      q[k] += ridge[k] * p[k];
      curvature += p[k] * q[k];
    }
    if (!(curvature > 0)) break;
    const double alpha = rho / curvature;
    double next = 0;
    for (Index k = 0; k < unknowns; ++k) {
      u[k] += alpha * p[k];
      r[k] -= alpha * q[k];
      next += inverse[k] * r[k] * r[k];
    }
    for (Index t = 0; t < length; ++t) e[t] -= alpha * product[t];
    const double beta = next / rho;
    rho = next;
    for (Index k = 0; k < unknowns; ++k) p[k] = inverse[k] * r[k] + beta * p[k];
  }
  return sum_of_squares(length, e);
}

/// [S P; ridge^{1/2}] for a random S of `rows` rows with one entry, +-1, in every column (Clarkson and Woodruff, 2013),
/// in columns `rows + unknowns` apart. Lines of no more entries are their own sketch.
void sketch_columns(Index count, Index length, Index unknowns, const double* columns, const double* ridge, Index rows,
                    const RandomStream& random, double* sketch) {
  const Index step = rows + unknowns;
  std::fill_n(sketch, unknowns * step, 0.0);
  for (Index t = 0; t < count; ++t) {
    const PhiloxCounter bits = random.bits(static_cast<std::uint64_t>(t));
    const Index bucket =
        count <= rows ? t : static_cast<Index>((std::uint64_t{bits[0]} * static_cast<std::uint64_t>(rows)) >> 32);
    const double sign = (bits[1] & 1U) != 0 ? -1.0 : 1.0;
    for (Index q = 0; q < unknowns; ++q) sketch[q * step + bucket] += sign * columns[q * length + t];
  }
  for (Index q = 0; q < unknowns; ++q) sketch[q * step + rows + q] = std::sqrt(ridge[q]);
}

/// R of the QR factorisation of the columns, by modified Gram-Schmidt; row p of R begins at R + p * unknowns. A column
/// that depends on those before it has a pivot of 0.
void triangular_factor(Index unknowns, Index step, double* columns, double* R) {
  constexpr double rounding = 1e-13;
  for (Index p = 0; p < unknowns; ++p) {
    double* const column = columns + p * step;
    double before = dot(step, column, column);
    for (Index o = 0; o < p; ++o) before += R[o * unknowns + p] * R[o * unknowns + p];
    const double square = dot(step, column, column);
    const double pivot = square > rounding * rounding * before ? std::sqrt(square) : 0;
    R[p * unknowns + p] = pivot;
    if (pivot > 0)
      for (Index t = 0; t < step; ++t) column[t] /= pivot;
    for (Index q = p + 1; q < unknowns; ++q) {
      double* const other = columns + q * step;
      const double product = pivot > 0 ? dot(step, column, other) : 0;
      R[p * unknowns + q] = product;
      for (Index t = 0; t < step; ++t) other[t] -= product * column[t];
    }
  }
}

/// z <- R^{-1} R^{-T} r, without what belongs to pivots of 0.
void precondition(Index unknowns, const double* R, const double* r, double* z) {
  for (Index p = 0; p < unknowns; ++p) {
    double sum = r[p];
    for (Index o = 0; o < p; ++o) sum -= R[o * unknowns + p] * z[o];
    z[p] = R[p * unknowns + p] > 0 ? sum / R[p * unknowns + p] : 0;
  }
  for (Index p = unknowns - 1; p >= 0; --p) {
    double sum = z[p];
    for (Index q = p + 1; q < unknowns; ++q) sum -= R[p * unknowns + q] * z[q];
    z[p] = R[p * unknowns + p] > 0 ? sum / R[p * unknowns + p] : 0;
  }
}

}  // namespace

void conjugate_gradients(const Lines& lines, const Factor& other, const double* ridge, const double* common,
                         Index steps, double* x, double* squares, double* panel) noexcept {
  constexpr Index most_numbers = 4096;  // of a panel that is read twice for each step
  for (Index i = 0; i < lines.count; ++i) {
    const Index begin = lines.begin[i], count = lines.begin[i + 1] - begin;
    double* const u = x + i * other.stride;
    squares[i] = count * other.unknowns <= most_numbers
                     ? solve_line<ColumnPanel>(lines, begin, count, other, ridge, common, steps, u, panel)
                     : solve_line<RowPanel>(lines, begin, count, other, ridge, common, steps, u, panel);
  }
}

void sketched(const Lines& lines, const Factor& other, const double* ridge, double tol, std::uint64_t seed, Index first,
              double* x, double* squares, double* panel) noexcept {
  constexpr Index most_steps = 60;
  const Index stride = other.stride, unknowns = other.unknowns, rows = sketch_rows(unknowns), step = rows + unknowns;
  double* const zeros = panel;
  double* const r = zeros + stride;
  double* const z = r + stride;
  double* const p = z + stride;
  double* const q = p + stride;
  double* const R = q + stride;
  double* const sketch = R + stride * stride;
  double* const rest = sketch + (step * unknowns + 7) / 8 * 8;
  std::fill_n(zeros, stride, 0.0);
  for (Index i = 0; i < lines.count; ++i) {
    const Index count = lines.begin[i + 1] - lines.begin[i], length = (count + 7) / 8 * 8;
    double* const e = rest;
    double* const product = e + length;
    double* const columns = product + length;
    double* const u = x + i * stride;
    gather_columns(lines, lines.begin[i], count, other, zeros, length, columns, e);
    multiply<true>(length, unknowns, columns, u, e, e);
    multiply_transposed(length, unknowns, columns, e, r);
    for (Index k = 0; k < unknowns; ++k) r[k] -= ridge[k] * u[k];
    sketch_columns(count, length, unknowns, columns, ridge, rows,
                   RandomStream(seed, static_cast<std::uint64_t>(first + i)), sketch);
    triangular_factor(unknowns, step, sketch, R);
    precondition(unknowns, R, r, z);
    std::copy_n(z, unknowns, p);
    double rho = dot(unknowns, r, z);
    constexpr double nothing = 1e-290;
    const double goal = std::max(nothing, tol * tol * rho);
    for (Index iteration = 0; iteration < most_steps && rho > goal; ++iteration) {
      multiply<false>(length, unknowns, columns, p, nullptr, product);
      multiply_transposed(length, unknowns, columns, product, q);
      for (Index k = 0; k < unknowns; ++k) q[k] += ridge[k] * p[k];
      const double curvature = dot(unknowns, p, q);
      if (!(curvature > 0)) break;
      const double alpha = rho / curvature;
      for (Index k = 0; k < unknowns; ++k) {
        u[k] += alpha * p[k];
        r[k] -= alpha * q[k];
      }
      for (Index t = 0; t < length; ++t) e[t] -= alpha * product[t];
      precondition(unknowns, R, r, z);
      const double next = dot(unknowns, r, z), beta = next / rho;
      rho = next;
      for (Index k = 0; k < unknowns; ++k) p[k] = z[k] + beta * p[k];
    }
    squares[i] = sum_of_squares(length, e);
  }
}

}  // namespace nearlinear::completion

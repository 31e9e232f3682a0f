// Compiled once per instruction set; see core/dispatch.hpp for the rules. The paper's solver for one line after the
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

/// z <- P^T y. Four columns share what is read of y.
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

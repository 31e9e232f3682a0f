// Sums are taken in `lanes` interleaved parts and in blocks that stay in the nearest cache, so that the compiler can
// use registers of any width; they are the same whoever calls.
#include "sampling/kernels.hpp"

#include <algorithm>

#include "linalg/packets.hpp"

namespace {

namespace ei = Eigen::internal;
using nearlinear::linalg::Packet;
using nearlinear::linalg::width;

using nearlinear::Index;
using nearlinear::sampling::Columns;
using nearlinear::sampling::InteriorPoint;

constexpr Index lanes = 8;
constexpr Index block = 512;  // rows whose columns are used for everything at once

void narrow_rows(Index rows, Index cols, const double* a, Index row_stride, float* to) noexcept {
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) to[i * cols + j] = static_cast<float>(a[i * row_stride + j]);
}

void scale_rows(Index rows, Index cols, const double* factors, float* a) noexcept {
  for (Index i = 0; i < rows; ++i) {
    const auto factor = static_cast<float>(factors[i]);
    for (Index j = 0; j < cols; ++j) a[i * cols + j] *= factor;
  }
}

template <class T>
void squared_norms(Index rows, Index cols, const T* a, double* values) noexcept {
  for (Index i = 0; i < rows; ++i) {
    const T* const row = a + i * cols;
    double sums[lanes] = {};
    Index j = 0;
    for (; j + lanes <= cols; j += lanes)
      for (Index lane = 0; lane < lanes; ++lane) {
        const auto entry = static_cast<double>(row[j + lane]);
        sums[lane] += entry * entry;
      }
    for (Index lane = 0; j < cols; ++j, ++lane) {
      const auto entry = static_cast<double>(row[j]);
      sums[lane] += entry * entry;
    }
    values[i] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
}

void combine(Index n, Columns v, const double* x, double* y) noexcept {
  for (Index begin = 0; begin < n; begin += block) {
    const Index size = std::min(block, n - begin);
    double* const to = y + begin;
    for (Index i = 0; i < size; ++i) to[i] = 0;
    Index k = 0;
    for (; k + 4 <= v.cols; k += 4) {
      const double* const a = v.data + k * v.stride + begin;
      const double* const b = a + v.stride;
      const double* const c = b + v.stride;
      const double* const d = c + v.stride;
      for (Index i = 0; i < size; ++i) to[i] += (x[k] * a[i] + x[k + 1] * b[i]) + (x[k + 2] * c[i] + x[k + 3] * d[i]);
    }
    for (; k < v.cols; ++k) {
      const double* const a = v.data + k * v.stride + begin;
      for (Index i = 0; i < size; ++i) to[i] += x[k] * a[i];
    }
  }
}

double dot(Index n, const double* x, const double* y) noexcept {
  double sums[4 * lanes] = {};
  Index i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes)
    for (Index lane = 0; lane < 4 * lanes; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  for (Index lane = 0; i < n; ++i, ++lane) sums[lane] += x[i] * y[i];
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

void reduce(Index n, Columns v, const double* y, double* z) noexcept {
  for (Index k = 0; k < v.cols; ++k) z[k] = 0;
  for (Index begin = 0; begin < n; begin += block)
    for (Index k = 0; k < v.cols; ++k)
      z[k] += dot(std::min(block, n - begin), v.data + k * v.stride + begin, y + begin);
}

using P = Packet<double>;
constexpr int left_count = 4, right_count = width<double> >= 8 ? 4 : 2;  // rows whose products fit the registers

/// result_rc <- sum_i left_r[i] right_c[i] over one block.
void multiply(Index size, const double* const* left, const double* const* right,
              double (&result)[left_count][right_count]) noexcept {
  P sums[left_count][right_count];
#pragma GCC unroll 4
  for (int r = 0; r < left_count; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < right_count; ++c) sums[r][c] = ei::pset1<P>(0.0);
  const Index whole = size / width<double> * width<double>;
  for (Index i = 0; i < whole; i += width<double>) {
    P at_right[right_count];
#pragma GCC unroll 4
    for (int c = 0; c < right_count; ++c) at_right[c] = ei::ploadu<P>(right[c] + i);
#pragma GCC unroll 4
    for (int r = 0; r < left_count; ++r) {
      const P at_left = ei::ploadu<P>(left[r] + i);
#pragma GCC unroll 4
      for (int c = 0; c < right_count; ++c) sums[r][c] = ei::pmadd(at_left, at_right[c], sums[r][c]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < left_count; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < right_count; ++c) {
      double sum = ei::predux(sums[r][c]);
      for (Index i = whole; i < size; ++i) sum += left[r][i] * right[c][i];
      result[r][c] = sum;
    }
}

void weighted_gram(Index n, Columns v, const double* h, double* G) noexcept {
  const Index d = v.cols;
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j <= i; ++j) G[i * d + j] = 0;
  double weighted[left_count][block];
  const double zeros[block] = {};
  for (Index begin = 0; begin < n; begin += block) {
    const Index size = std::min(block, n - begin);
    const auto row = [&](Index k) { return k < d ? v.data + k * v.stride + begin : zeros; };
    for (Index i = 0; i < d; i += left_count) {
      const double* left[left_count];
      for (Index r = 0; r < left_count; ++r) {
        left[r] = weighted[r];
        const double* const from = row(i + r);
        for (Index k = 0; k < size; ++k) weighted[r][k] = h[begin + k] * from[k];
      }
      for (Index j = 0; j < std::min(d, i + left_count); j += right_count) {
        const double* right[right_count];
        for (Index c = 0; c < right_count; ++c) right[c] = row(j + c);
        double products[left_count][right_count];
        multiply(size, left, right, products);
        for (Index r = 0; r < left_count && i + r < d; ++r)
          for (Index c = 0; c < right_count && j + c <= i + r; ++c) G[(i + r) * d + j + c] += products[r][c];
      }
    }
  }
}

void scale(Index n, const InteriorPoint& point, const double* y, const double* dv, const double* dplus,
           const double* dminus, double target, double* theta, double* shift) noexcept {
  const double* const above = point.above;
  const double* const below = point.below;
  const double* const plus = point.plus;
  const double* const minus = point.minus;
  if (dv == nullptr) {
    for (Index i = 0; i < n; ++i) {
      const double by_above = 1 / above[i], by_below = 1 / below[i];
      theta[i] = 1 / (plus[i] * by_above + minus[i] * by_below);
      shift[i] = theta[i] * (target * (by_above - by_below) - y[i]);
    }
    return;
  }
  for (Index i = 0; i < n; ++i) {
    const double by_above = 1 / above[i], by_below = 1 / below[i];
    theta[i] = 1 / (plus[i] * by_above + minus[i] * by_below);
    const double of_plus = target + dv[i] * dplus[i], of_minus = target - dv[i] * dminus[i];
    shift[i] = theta[i] * (of_plus * by_above - of_minus * by_below - y[i]);
  }
}

void directions(Index n, const InteriorPoint& point, const double* dy, const double* theta, const double* shift,
                bool is_corrector, double target, double* dv, double* dplus, double* dminus, double* longest) noexcept {
  const double* const above = point.above;
  const double* const below = point.below;
  const double* const plus = point.plus;
  const double* const minus = point.minus;
  double by_slack = 0, by_part = 0;  // the largest of -step / value
  for (Index begin = 0; begin < n; begin += block) {
    const Index end = std::min(n, begin + block);
    double worst_slack[lanes] = {}, worst_part[lanes] = {};
    for (Index i = begin; i < end; ++i) {
      const double second_plus = is_corrector ? dv[i] * dplus[i] : 0,
                   second_minus = is_corrector ? dv[i] * dminus[i] : 0;
      const double step = theta[i] * dy[i] - shift[i];
      dplus[i] = (target + second_plus + plus[i] * step) / above[i] - plus[i];
      dminus[i] = (target - second_minus - minus[i] * step) / below[i] - minus[i];
      dv[i] = step;
    }
    Index i = begin;
    const auto look = [&](Index at, Index lane) {
      worst_slack[lane] = std::max(worst_slack[lane], std::max(dv[at] / above[at], -dv[at] / below[at]));
      worst_part[lane] = std::max(worst_part[lane], std::max(-dplus[at] / plus[at], -dminus[at] / minus[at]));
    };
    for (; i + lanes <= end; i += lanes)
      for (Index lane = 0; lane < lanes; ++lane) look(i + lane, lane);
    for (Index lane = 0; i < end; ++i, ++lane) look(i, lane);
    for (Index lane = 0; lane < lanes; ++lane) {
      by_slack = std::max(by_slack, worst_slack[lane]);
      by_part = std::max(by_part, worst_part[lane]);
    }
  }
  longest[0] = by_slack > 0 ? 1 / by_slack : 1e300;
  longest[1] = by_part > 0 ? 1 / by_part : 1e300;
}

double gap_after(Index n, const InteriorPoint& point, const double* dv, const double* dplus, const double* dminus,
                 double step_v, double step_y) noexcept {
  double total = 0;
  for (Index begin = 0; begin < n; begin += block) {
    const Index end = std::min(n, begin + block);
    double sums[lanes] = {};
    Index i = begin;
    const auto term = [&](Index at) {
      return (point.above[at] - step_v * dv[at]) * (point.plus[at] + step_y * dplus[at]) +
             (point.below[at] + step_v * dv[at]) * (point.minus[at] + step_y * dminus[at]);
    };
    for (; i + lanes <= end; i += lanes)
      for (Index lane = 0; lane < lanes; ++lane) sums[lane] += term(i + lane);
    for (Index lane = 0; i < end; ++i, ++lane) sums[lane] += term(i);
    for (const double sum : sums) total += sum;
  }
  return total;
}

void move(Index n, const InteriorPoint& point, const double* dv, const double* dplus, const double* dminus,
          double step_v, double step_y) noexcept {
  double* const above = point.above;
  double* const below = point.below;
  double* const plus = point.plus;
  double* const minus = point.minus;
  for (Index i = 0; i < n; ++i) {
    above[i] -= step_v * dv[i];
    below[i] += step_v * dv[i];
    plus[i] += step_y * dplus[i];
    minus[i] += step_y * dminus[i];
  }
}

}  // namespace

NEARLINEAR_DEFINE_KERNELS(sampling) = {
    .narrow_rows = narrow_rows,
    .scale_rows = scale_rows,
    .squared_norms = squared_norms<double>,
    .rough_squared_norms = squared_norms<float>,
    .combine = combine,
    .reduce = reduce,
    .weighted_gram = weighted_gram,
    .scale = scale,
    .directions = directions,
    .gap_after = gap_after,
    .move = move,
};

// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "ot/kernels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "ot/vectors.hpp"

namespace {

using namespace nearlinear::ot;
using nearlinear::Index;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// The entries from `j` on, fewer than `width`, followed by `padding`.
template <class T>
void load_rest(const T* from, Index count, double padding, Doubles& to) {
  to = padding + Doubles{};
  for (Index i = 0; i < count; ++i) to[i] = static_cast<double>(from[i]);
}

/// (f + g - cost) / reg, exact in its differences where the plan is not negligible: there f + g and cost are close.
template <class T>
double exponentials(const T* cost, const double* g, Index size, double f, double inverse_reg, double* t) noexcept {
  Doubles sum[2] = {};
  const auto one = [&](Index j, Doubles& total) {
    Doubles costs, x;
    load(g + j, x);
    load(cost + j, costs);
    x = ((x + f) - costs) * inverse_reg;
    exponential(x);
    store(x, t + j);
    total += x;
  };
  Index j = 0;
  for (; j + 2 * width <= size; j += 2 * width) {
    one(j, sum[0]);
    one(j + width, sum[1]);
  }
  if (j + width <= size) {
    one(j, sum[0]);
    j += width;
  }
  if (j < size) {
    Doubles costs, x;
    load_rest(cost + j, size - j, infinity, costs);
    load_rest(g + j, size - j, 0, x);
    x = ((x + f) - costs) * inverse_reg;
    exponential(x);
    for (Index i = j; i < size; ++i) t[i] = x[i - j];
    sum[1] += x;
  }
  return sum_of(sum[0] + sum[1]);
}

template <class T>
double coarse_exponentials(const T* cost, const double* g, Index size, double f, double inverse_reg,
                           double* t) noexcept {
  Doubles sums[2] = {};
  Index j = 0;
  for (; j + 2 * width <= size; j += 2 * width) {
    Doubles parts[2];
#pragma GCC unroll 2
    for (Index half = 0; half < 2; ++half) {
      Doubles costs;
      load(g + j + half * width, parts[half]);
      load(cost + j + half * width, costs);
      parts[half] = ((parts[half] + f) - costs) * inverse_reg;
    }
    Pair x;
    narrow(parts[0], parts[1], x);
    exponential(x);
    float entries[2 * width];
    std::memcpy(entries, &x, sizeof x);
#pragma GCC unroll 2
    for (Index half = 0; half < 2; ++half) {
      Doubles part;
      load(entries + half * width, part);
      store(part, t + j + half * width);
      sums[half] += part;
    }
  }
  return sum_of(sums[0] + sums[1]) + exponentials(cost + j, g + j, size - j, f, inverse_reg, t + j);
}

void exponentials_of(double* t, Index size, double factor) noexcept {
  Doubles x;
  Index j = 0;
  for (; j + width <= size; j += width) {
    load(t + j, x);
    x *= factor;
    exponential(x);
    store(x, t + j);
  }
  if (j < size) {
    load_rest(t + j, size - j, 0, x);
    x *= factor;
    exponential(x);
    for (Index i = j; i < size; ++i) t[i] = x[i - j];
  }
}

template <class T>
double largest_slack(const T* cost, const double* g, Index size) noexcept {
  Doubles largest = Doubles{} - infinity;
  Index j = 0;
  for (; j + width <= size; j += width) {
    Doubles costs, x;
    load(g + j, x);
    load(cost + j, costs);
    x -= costs;
    largest = x > largest ? x : largest;
  }
  double result = -infinity;
  for (Index i = 0; i < width; ++i) result = std::max(result, static_cast<double>(largest[i]));
  for (; j < size; ++j) result = std::max(result, g[j] - static_cast<double>(cost[j]));
  return result;
}

template <class T>
Index best(const T* cost, const double* g, Index size, double* slack) noexcept {
  // Only blocks are numbered; the entry is looked for in the block that has it.
  constexpr Index vectors = 8, block = vectors * width;
  Doubles largest = Doubles{} - infinity;
  Words number = {}, found = {};
  const auto slacks = [&](Index j) {
    Doubles costs, x;
    load(g + j, x);
    load(cost + j, costs);
    x -= costs;
    return x;
  };
  const auto note = [&](const Doubles& x) {
    const Words above = x > largest;
    found = above ? number : found;
    largest = above ? x : largest;
    number += 1;
  };
  const auto larger = [](const Doubles& x, const Doubles& y) { return x > y ? x : y; };
  Index j = 0;
  for (; j + block <= size; j += block) {
    Doubles x = larger(slacks(j), slacks(j + width));
#pragma GCC unroll 8
    for (Index v = 2; v < vectors; v += 2) x = larger(x, larger(slacks(j + v * width), slacks(j + (v + 1) * width)));
    note(x);
  }
  if (j < size) {
    Doubles x = Doubles{} - infinity;
    for (; j + width <= size; j += width) x = larger(x, slacks(j));
    if (j < size) {
      Doubles costs, rest;
      load_rest(cost + j, size - j, infinity, costs);
      load_rest(g + j, size - j, 0, rest);
      x = larger(x, rest - costs);
    }
    note(x);
  }
  double top = -infinity;
  for (Index i = 0; i < width; ++i) top = std::max(top, static_cast<double>(largest[i]));
  Index first = size;
  for (Index i = 0; i < width; ++i)
    if (largest[i] == top) first = std::min(first, static_cast<Index>(found[i]) * block);
  while (g[first] - static_cast<double>(cost[first]) != top) ++first;
  *slack = top;
  return first;
}

template <class T>
void lower(const T* cost, Index size, double f, double* g) noexcept {
  Index j = 0;
  for (; j + width <= size; j += width) {
    Doubles costs, x;
    load(g + j, x);
    load(cost + j, costs);
    costs -= f;
    store(costs < x ? costs : x, g + j);
  }
  for (; j < size; ++j) g[j] = std::min(g[j], static_cast<double>(cost[j]) - f);
}

template <class T>
double total_cost(const T* cost, const double* t, Index size) noexcept {
  Doubles sum = {};
  Index j = 0;
  for (; j + width <= size; j += width) {
    Doubles costs, x;
    load(t + j, x);
    load(cost + j, costs);
    sum += x > 0 ? x * costs : Doubles{};  // 0 * Inf is NaN
  }
  double rest = 0;
  for (; j < size; ++j) rest += t[j] > 0 ? t[j] * static_cast<double>(cost[j]) : 0.0;
  return sum_of(sum) + rest;
}

template <class T>
Index count(const T* cost, const double* g, Index size, double f, double threshold) noexcept {
  Words found = {};
  Index j = 0;
  for (; j + width <= size; j += width) {
    Doubles costs, x;
    load(g + j, x);
    load(cost + j, costs);
    found -= ((x + f) - costs) > threshold;  // true is -1
  }
  Index total = 0;
  for (Index i = 0; i < width; ++i) total += found[i];
  for (; j < size; ++j) total += (g[j] + f) - static_cast<double>(cost[j]) > threshold ? 1 : 0;
  return total;
}

template <class T>
Index collect(const T* cost, const double* g, Index size, double f, double threshold, std::int32_t first,
              std::int32_t* columns, double* slacks) noexcept {
  Index collected = 0, j = 0;
  for (; j + width <= size; j += width) {
    Doubles costs, x;
    load(g + j, x);
    load(cost + j, costs);
    x = (x + f) - costs;
#if defined(__AVX512F__) && defined(__AVX512VL__)
    __m512d slack;
    std::memcpy(&slack, &x, sizeof slack);
    const __mmask8 above = _mm512_cmp_pd_mask(slack, _mm512_set1_pd(threshold), _CMP_GT_OQ);
    if (above == 0) continue;
    const __m256i numbers = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                             _mm256_set1_epi32(first + static_cast<std::int32_t>(j)));
    // Compressed in registers: storing the compressed ones directly is slow on some processors.
    _mm512_storeu_pd(slacks + collected, _mm512_maskz_compress_pd(above, slack));
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(columns + collected), _mm256_maskz_compress_epi32(above, numbers));
    collected += std::popcount(static_cast<unsigned>(above));
#else
    const Words above = x > threshold;
    std::int64_t any = 0;
    for (Index i = 0; i < width; ++i) any |= above[i];
    if (any == 0) continue;
    for (Index i = 0; i < width; ++i) {
      columns[collected] = first + static_cast<std::int32_t>(j + i);
      slacks[collected] = x[i];
      collected -= above[i];
    }
#endif
  }
  for (; j < size; ++j) {
    const double slack = (g[j] + f) - static_cast<double>(cost[j]);
    columns[collected] = first + static_cast<std::int32_t>(j);
    slacks[collected] = slack;
    collected += slack > threshold ? 1 : 0;
  }
  return collected;
}

template <class T>
double add_positive(const T* cost, const double* g, Index size, double f, double scale, double* sums) noexcept {
  Doubles squares = {};
  Index j = 0;
  for (; j + width <= size; j += width) {
    Doubles costs, v, sum;
    load(g + j, v);
    load(cost + j, costs);
    v = (v + f) - costs;
    v = v > 0 ? v : Doubles{};
    squares += v * v;
    load(sums + j, sum);
    sum += scale * v;
    store(sum, sums + j);
  }
  double rest = 0;
  for (; j < size; ++j) {
    const double v = std::max(0.0, (g[j] + f) - static_cast<double>(cost[j]));
    rest += v * v;
    sums[j] += scale * v;
  }
  return sum_of(squares) + rest;
}

template <class T>
Range range(const T* cost, Index size) noexcept {
  Doubles smallest = Doubles{} + infinity, largest = Doubles{} - infinity;
  Words valid = Words{} - 1, finite_so_far = Words{} - 1;
  const auto look = [&](const Doubles& x) {
    valid &= x > -infinity;  // false for NaN
    finite_so_far &= x < infinity;
    smallest = x < smallest ? x : smallest;
    const Doubles finite = x < infinity ? x : Doubles{} - infinity;
    largest = finite > largest ? finite : largest;
  };
  Doubles x;
  Index j = 0;
  for (; j + width <= size; j += width) {
    load(cost + j, x);
    look(x);
  }
  if (j < size) {
    load_rest(cost + j, size - j, static_cast<double>(cost[j]), x);
    look(x);
  }
  Range result{infinity, -infinity, true, true};
  for (Index i = 0; i < width; ++i) {
    result.smallest = std::min(result.smallest, static_cast<double>(smallest[i]));
    result.largest = std::max(result.largest, static_cast<double>(largest[i]));
    result.valid = result.valid && valid[i] != 0;
    result.finite = result.finite && finite_so_far[i] != 0;
  }
  return result;
}

enum class Metric { squared_euclidean, euclidean, cityblock };

template <Metric metric>
void distances(const double* x, const double* y, Index dim, Index stride, Index size, double* out) noexcept {
  constexpr int vectors = 4;
  for (Index j = 0; j < size; j += vectors * width) {
    Doubles sum[vectors];
#pragma GCC unroll 4  // or the sums go through memory
    for (int v = 0; v < vectors; ++v) sum[v] = Doubles{};
    for (Index k = 0; k < dim; ++k) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        Doubles difference;
        load(y + k * stride + j + v * width, difference);
        difference -= x[k];
        if constexpr (metric == Metric::cityblock)
          sum[v] += reinterpret_cast<Doubles>(reinterpret_cast<Words>(difference) & INT64_MAX);
        else
          sum[v] += difference * difference;
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) store(sum[v], out + j + v * width);
  }
  if constexpr (metric == Metric::euclidean)
    for (Index j = 0; j < size; ++j) out[j] = std::sqrt(out[j]);
}

void add_scaled(const double* t, Index size, double scale, double* sums) noexcept {
  for (Index j = 0; j < size; ++j) sums[j] += scale * t[j];
}

double dot(const double* x, const double* y, Index size) noexcept {
  Doubles sum[2] = {};
  Index j = 0;
  for (; j + 2 * width <= size; j += 2 * width)
    for (int v = 0; v < 2; ++v) {
      Doubles left, right;
      load(x + j + v * width, left);
      load(y + j + v * width, right);
      sum[v] += left * right;
    }
  double rest = 0;
  for (; j < size; ++j) rest += x[j] * y[j];
  return sum_of(sum[0] + sum[1]) + rest;
}

void store_scaled(const double* t, Index size, double scale, float* out) noexcept {
  constexpr double smallest = std::numeric_limits<float>::min();
  for (Index j = 0; j < size; ++j) {
    const double scaled = scale * t[j];
    out[j] = static_cast<float>(scaled < smallest ? 0.0 : scaled);
  }
}

/// Four rows at a time: x and the sums are loaded once for all of them.
template <int rows, bool divides>
void pass_rows(const float* k, Index cols, const double* x, const double* weight, double* w, double* sums) {
  Doubles product[rows] = {};
  Index j = 0;
  for (; j + width <= cols; j += width) {
    Doubles factor;
    load(x + j, factor);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      Doubles entries;
      load(k + r * cols + j, entries);
      product[r] += entries * factor;
    }
  }
  for (int r = 0; r < rows; ++r) {
    double rest = 0;
    for (Index i = j; i < cols; ++i) rest += static_cast<double>(k[r * cols + i]) * x[i];
    const double total = sum_of(product[r]) + rest;
    w[r] = divides ? weight[r] / total : weight[r] * total;
  }
  for (j = 0; j + width <= cols; j += width) {
    Doubles sum;
    load(sums + j, sum);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      Doubles entries;
      load(k + r * cols + j, entries);
      sum += entries * w[r];
    }
    store(sum, sums + j);
  }
  for (; j < cols; ++j)
    for (int r = 0; r < rows; ++r) sums[j] += static_cast<double>(k[r * cols + j]) * w[r];
}

template <bool divides>
void pass(const float* k, Index rows, Index cols, const double* x, const double* weight, double* w,
          double* sums) noexcept {
  Index i = 0;
  for (; i + 4 <= rows; i += 4) pass_rows<4, divides>(k + i * cols, cols, x, weight + i, w + i, sums);
  for (; i < rows; ++i) pass_rows<1, divides>(k + i * cols, cols, x, weight + i, w + i, sums);
}

double sparse_dot(const double* values, const std::int32_t* columns, Index count, const double* x) noexcept {
  double sum[4] = {};
  Index k = 0;
  for (; k + 4 <= count; k += 4)
    for (int l = 0; l < 4; ++l) sum[l] += values[k + l] * x[columns[k + l]];
  for (; k < count; ++k) sum[0] += values[k] * x[columns[k]];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <class T>
constexpr RowKernelsFor<T> kernels_of = {.exponentials = exponentials<T>,
                                         .coarse_exponentials = coarse_exponentials<T>,
                                         .largest_slack = largest_slack<T>,
                                         .best = best<T>,
                                         .lower = lower<T>,
                                         .total_cost = total_cost<T>,
                                         .count = count<T>,
                                         .collect = collect<T>,
                                         .add_positive = add_positive<T>,
                                         .range = range<T>};

}  // namespace

NEARLINEAR_DEFINE_KERNELS(ot) = {.f32 = kernels_of<float>,
                                 .f64 = kernels_of<double>,
                                 .squared_euclidean = distances<Metric::squared_euclidean>,
                                 .euclidean = distances<Metric::euclidean>,
                                 .cityblock = distances<Metric::cityblock>,
                                 .exponentials_of = exponentials_of,
                                 .add_scaled = add_scaled,
                                 .dot = dot,
                                 .store_scaled = store_scaled,
                                 .divide_pass = pass<true>,
                                 .multiply_pass = pass<false>,
                                 .sparse_dot = sparse_dot};

#include "sketch/random_map.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/arithmetic.hpp"
#include "linalg/elementwise_kernels.hpp"
#include "linalg/kernels.hpp"

namespace nearlinear {

SketchSpec sketch_for(Index n, Index d, SketchKind kind, Index rows, std::uint64_t seed) {
  require(n >= 0 && d >= 0 && rows >= 1, "sketch_for: n is ", n, ", d is ", d, " and rows is ", rows,
          "; they must be at least 0, 0 and 1");
  constexpr Index least = 1024, most = Index{1} << 16;
  const double wanted = std::max(4.0 * static_cast<double>(d), 8 * std::sqrt(static_cast<double>(rows)));
  SketchSpec spec{.kind = kind, .rows = rows, .seed = seed, .block = least};
  while (spec.block < most && static_cast<double>(spec.block) < wanted) spec.block *= 2;
  if (kind == SketchKind::pooled) {
    const Index length = std::max(n, checked_product(rows, std::max<Index>(16, d)));
    spec.length = static_cast<Index>(std::bit_ceil(static_cast<std::uint64_t>(length)));
  }
  return spec;
}

namespace sketch {
namespace {

/// The first `count` 32-bit words of a stream from word `first` on.
const std::uint32_t* words_from(const SketchSpec& spec, Stream stream, Index first, Index count,
                                std::vector<std::uint32_t>& storage) {
  const Index counters = ceil_divide(first % 4 + count, 4);
  storage.resize(static_cast<std::size_t>(4 * counters));
  kernels().random_words(spec.seed, stream, static_cast<std::uint64_t>(first / 4), counters, storage.data());
  return storage.data() + first % 4;
}

std::uint64_t long_word(const std::uint32_t* words) { return (std::uint64_t{words[1]} << 32) | words[0]; }

}  // namespace

Index column_nonzeros(const SketchSpec& spec) {
  return spec.kind == SketchKind::sjlt ? std::min<Index>(8, spec.rows) : 1;
}

double scale(const SketchSpec& spec) {
  switch (spec.kind) {
    case SketchKind::gaussian:
    case SketchKind::srht:
      return 1 / std::sqrt(static_cast<double>(spec.rows));
    case SketchKind::block_hadamard:
      return 1 / std::sqrt(static_cast<double>(spec.block));
    default:
      return 1 / std::sqrt(static_cast<double>(column_nonzeros(spec)));
  }
}

template <class T>
void draw_signs(const SketchSpec& spec, Index begin, Index count, T* factors) {
  if (spec.kind == SketchKind::gaussian || spec.kind == SketchKind::sjlt || spec.kind == SketchKind::countsketch) {
    std::fill_n(factors, count, T{1});
    return;
  }
  constexpr Index bits = 32, together = 4096;
  std::array<std::uint32_t, together / bits + 8> words;
  for (Index done = 0; done < count;) {
    // From a word that begins a counter on; the first word that is used may be another one, and used in part.
    const Index word = (begin + done) / bits, first = word / 4 * 4, skipped = begin + done - first * bits;
    const Index now = std::min(count - done, together - skipped % bits);
    kernels().random_words(spec.seed, signs_stream, static_cast<std::uint64_t>(first / 4),
                           ceil_divide(skipped + now, 4 * bits), words.data());
    for (Index i = 0; i < now;) {
      const Index at = skipped + i, bit = at % bits, end = std::min(now, i + bits - bit);
      const std::uint32_t word_bits = words[static_cast<std::size_t>(at / bits)] >> bit;
      for (Index k = 0; k < end - i; ++k)
        factors[done + i + k] = static_cast<T>(1 - 2 * static_cast<int>((word_bits >> k) & 1U));
      i = end;
    }
    done += now;
  }
}

std::vector<std::uint64_t> draw_hadamard_rows(const SketchSpec& spec) {
  std::vector<std::uint32_t> storage;
  const std::uint32_t* const words = words_from(spec, picks_stream, 0, 4 * spec.rows, storage);
  std::vector<std::uint64_t> result(static_cast<std::size_t>(spec.rows));
  for (std::size_t j = 0; j < result.size(); ++j) result[j] = long_word(words + 4 * j);
  return result;
}

std::vector<Index> draw_cosine_rows(const SketchSpec& spec, Index length) {
  const RandomStream picks(spec.seed, picks_stream);
  std::vector<Index> result(static_cast<std::size_t>(spec.rows));
  for (std::size_t j = 0; j < result.size(); ++j)
    result[j] = std::min(length - 1, static_cast<Index>(picks.uniform(j) * static_cast<double>(length)));
  return result;
}

template <class T>
void draw_normals(std::uint64_t seed, Stream stream, Index begin, Index count, Index cols, T* normals) {
  const Index pairs_per_row = ceil_divide(cols, 2), pairs = count * pairs_per_row;
  constexpr Index chunk = 512;
  alignas(64) std::uint32_t words[4 * chunk];
  alignas(64) double logarithms[chunk];
  for (Index done = 0; done < pairs; done += chunk) {
    const Index now = std::min(chunk, pairs - done);
    kernels().random_words(seed, stream, static_cast<std::uint64_t>(begin * pairs_per_row + done), now, words);
    for (Index i = 0; i < now; ++i)
      logarithms[i] = 1.0 - static_cast<double>(long_word(words + 4 * i) >> 11) * 0x1p-53;  // in (0, 1]
    linalg::kernels().elementwise->f64.log(logarithms, logarithms, now);
    kernels_for<T>().box_muller(now, logarithms, words, normals + 2 * done);
  }
}

Scheduler::Scheduler(const SketchSpec& spec, Index tile_rows)
    : spec_(spec),
      tile_rows_(tile_rows),
      nonzeros_(column_nonzeros(spec)),
      begin_(static_cast<std::size_t>(spec.rows + 1)) {
  const bool is_picked = spec.kind == SketchKind::srht;
  entries_.resize(static_cast<std::size_t>(is_picked ? spec.rows : nonzeros_ * tile_rows));
  if (is_picked)
    for (std::size_t j = 0; j < begin_.size(); ++j) begin_[j] = static_cast<std::int32_t>(j);
  else
    target_.resize(entries_.size());
}

Schedule Scheduler::targets(Index begin) {
  const std::uint32_t* const words =
      words_from(spec_, targets_stream, nonzeros_ * begin, nonzeros_ * tile_rows_, words_);
  std::fill(begin_.begin(), begin_.end(), 0);
  // Stripe t is made of the rows [t m / zeta, (t + 1) m / zeta) of S.
  for (Index t = 0; t < nonzeros_; ++t) {
    const Index first = t * spec_.rows / nonzeros_, size = (t + 1) * spec_.rows / nonzeros_ - first;
    for (Index i = 0; i < tile_rows_; ++i) {
      const Index at = nonzeros_ * i + t;
      const auto target = static_cast<std::uint32_t>(
          first + static_cast<Index>((std::uint64_t{words[at]} * static_cast<std::uint64_t>(size)) >> 32));
      target_[static_cast<std::size_t>(at)] = target;
      ++begin_[target + 1];
    }
  }
  for (std::size_t j = 1; j < begin_.size(); ++j) begin_[j] += begin_[j - 1];
  // Counts become places, and move up by one in the end.
  for (Index i = tile_rows_ - 1; i >= 0; --i)
    for (Index t = 0; t < nonzeros_; ++t) {
      const Index at = nonzeros_ * i + t;
      const std::uint32_t target = target_[static_cast<std::size_t>(at)];
      entries_[static_cast<std::size_t>(--begin_[target + 1])] = 2 * static_cast<std::uint32_t>(i) + (words[at] & 1U);
    }
  std::copy(begin_.begin() + 1, begin_.end(), begin_.begin());
  begin_.back() = static_cast<std::int32_t>(entries_.size());
  return {begin_.data(), entries_.data()};
}

Schedule Scheduler::picks(Index block, const std::vector<std::uint64_t>& hadamard_rows) {
  const auto mask = static_cast<std::uint64_t>(tile_rows_ - 1);
  const int bits = std::countr_zero(static_cast<std::uint64_t>(tile_rows_));
  for (std::size_t j = 0; j < hadamard_rows.size(); ++j) {
    const std::uint64_t high = hadamard_rows[j] >> bits;
    const auto negative = static_cast<std::uint32_t>(std::popcount(high & static_cast<std::uint64_t>(block)) & 1);
    entries_[j] = 2 * static_cast<std::uint32_t>(hadamard_rows[j] & mask) + negative;
  }
  return {begin_.data(), entries_.data()};
}

template void draw_signs(const SketchSpec&, Index, Index, float*);
template void draw_signs(const SketchSpec&, Index, Index, double*);
template void draw_normals(std::uint64_t, Stream, Index, Index, Index, float*);
template void draw_normals(std::uint64_t, Stream, Index, Index, Index, double*);

}  // namespace sketch
}  // namespace nearlinear

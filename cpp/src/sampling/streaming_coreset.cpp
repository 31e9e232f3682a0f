#include "nearlinear/sampling/streaming_coreset.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/bytes.hpp"
#include "linalg/progress.hpp"
#include "nearlinear/core/random.hpp"
#include "nearlinear/sampling/sample.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sketch/stretches.hpp"

namespace nearlinear {
namespace {

constexpr const char* caller = "StreamingCoreset";
constexpr std::uint64_t final_stream = 1000;  // of random numbers; levels have those below
constexpr std::size_t most_levels = 64;

}  // namespace

StreamingCoreset::StreamingCoreset(Index cols, double p, Index budget, std::uint64_t seed)
    : cols_(cols), p_(p), budget_(budget), seed_(seed) {
  require(cols >= 1, caller, ": there are ", cols, " columns; there must be at least 1");
  sampling::require_valid_p(p, caller);
  require(budget > cols, caller, ": budget is ", budget, "; it must be larger than the number of columns, ", cols);
}

void StreamingCoreset::join(Level& level, const Level& other) {
  level.indices.insert(level.indices.end(), other.indices.begin(), other.indices.end());
  level.rows.insert(level.rows.end(), other.rows.begin(), other.rows.end());
  level.weights.insert(level.weights.end(), other.weights.begin(), other.weights.end());
}

/// `budget` rows for those of the level, by Lewis weights of the rows as they are scaled.
StreamingCoreset::Level StreamingCoreset::reduced(Level level, std::uint64_t stream, const RunOptions& run) const {
  const auto size = std::ssize(level.indices);
  if (size <= budget_) return level;
  const Array<double> scaled(checked_product(size, cols_));
  for (Index k = 0; k < size; ++k) {
    const double factor = std::pow(level.weights[static_cast<std::size_t>(k)], 1 / p_);
    for (Index j = 0; j < cols_; ++j)
      scaled[k * cols_ + j] = factor * level.rows[static_cast<std::size_t>(k * cols_ + j)];
  }
  // Sets at one level have different rows, and so different random numbers: by the first of them.
  const Index first = *std::min_element(level.indices.begin(), level.indices.end());
  const PhiloxCounter words = RandomStream(seed_, stream).bits(static_cast<std::uint64_t>(first));
  const std::uint64_t seed = (std::uint64_t{words[0]} << 32) | words[1];
  const MatrixView<const double> rows(scaled.data(), size, cols_);
  const bool is_zero = std::all_of(scaled.begin(), scaled.end(), [](double entry) { return entry == 0; });
  Level result;
  if (is_zero) return result;
  const RowSample sample =
      sample_rows(rows, p_, {.score = RowScore::lewis, .rows = budget_, .exact_size = true, .seed = seed}, run);
  for (Index k = 0; k < sample.indices.size(); ++k) {
    const auto at = static_cast<std::size_t>(sample.indices[k]);
    result.indices.push_back(level.indices[at]);
    result.weights.push_back(level.weights[at] * sample.weights[k]);
    const auto row = level.rows.begin() + static_cast<std::ptrdiff_t>(at) * cols_;
    result.rows.insert(result.rows.end(), row, row + cols_);
  }
  return result;
}

/// Puts a set of rows on a level; where there is one already, both make one of the next level.
void StreamingCoreset::carry(Level level, std::size_t at, const RunOptions& run) {
  for (; at < most_levels && !level.indices.empty(); ++at) {
    if (levels_.size() <= at) levels_.resize(at + 1);
    if (!levels_[at]) {
      levels_[at] = std::move(level);
      return;
    }
    join(level, *levels_[at]);
    level = reduced(std::move(level), at, run);
    levels_[at].reset();
  }
}

void StreamingCoreset::append(Index row, std::span<const double> entries, double weight, const RunOptions& run) {
  gathered_.indices.push_back(row);
  gathered_.rows.insert(gathered_.rows.end(), entries.begin(), entries.end());
  gathered_.weights.push_back(weight);
  if (std::ssize(gathered_.indices) < budget_) return;
  carry(std::exchange(gathered_, {}), 0, run);
}

void StreamingCoreset::add_rows(Index first_row, MatrixView<const double> A, const RunOptions& run) {
  require_valid_view(A, caller, "A");
  require(A.cols() == cols_, caller, ": A is ", shape(A), "; it must have ", cols_, " columns");
  sketch::require_new_rows(stretches_, first_row, A.rows(), caller);
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < cols_; ++j)
      require(std::isfinite(A(i, j)), caller, ": A has the entry ", A(i, j), " at index (", i, ", ", j,
              "); all entries must be finite");
  linalg::Progress progress(run);
  const auto total = static_cast<double>(std::max<Index>(1, A.rows()));
  for (Index i = 0; i < A.rows(); ++i) {
    const double done = static_cast<double>(i) / total;
    const bool is_full = std::ssize(gathered_.indices) + 1 >= budget_;
    append(first_row + i, A.row(i), 1, is_full ? progress.part(done, done) : RunOptions{});
    sketch::add_stretch(stretches_, {first_row + i, first_row + i + 1});
  }
}

void StreamingCoreset::merge(const StreamingCoreset& other, const RunOptions& run) {
  require(cols_ == other.cols_ && p_ == other.p_ && budget_ == other.budget_ && seed_ == other.seed_, caller,
          ": one has ", cols_, " columns, p = ", p_, ", budget ", budget_, ", seed ", seed_, ", the other ",
          other.cols_, ", ", other.p_, ", ", other.budget_, ", ", other.seed_, "; they must be the same");
  for (const auto& [begin, end] : other.stretches_) sketch::require_new_rows(stretches_, begin, end - begin, caller);
  const StreamingCoreset copy = other;  // which may be this one, if it has no rows
  for (std::size_t at = 0; at < copy.levels_.size(); ++at)
    if (copy.levels_[at]) carry(*copy.levels_[at], at, run);
  for (std::size_t k = 0; k < copy.gathered_.indices.size(); ++k)
    append(copy.gathered_.indices[k],
           std::span<const double>(copy.gathered_.rows)
               .subspan(k * static_cast<std::size_t>(cols_), static_cast<std::size_t>(cols_)),
           copy.gathered_.weights[k], run);
  for (const auto& stretch : copy.stretches_) sketch::add_stretch(stretches_, stretch);
}

CoresetRows StreamingCoreset::result(const RunOptions& run) const {
  Level all = gathered_;
  for (const auto& level : levels_)
    if (level) join(all, *level);
  all = reduced(std::move(all), final_stream, run);
  const auto size = std::ssize(all.indices);
  std::vector<std::size_t> order(all.indices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return all.indices[a] < all.indices[b]; });
  CoresetRows result{cols_, Array<double>(checked_product(size, cols_)), Array<Index>(size), Array<double>(size)};
  for (Index k = 0; k < size; ++k) {
    const std::size_t at = order[static_cast<std::size_t>(k)];
    result.indices[k] = all.indices[at];
    result.weights[k] = all.weights[at];
    std::copy_n(all.rows.begin() + static_cast<std::ptrdiff_t>(at) * cols_, cols_, result.rows.data() + k * cols_);
  }
  return result;
}

Index StreamingCoreset::rows_seen() const { return sketch::row_count(stretches_); }

namespace {

/// The bytes of a coreset: this header, the stretches, and each set of rows after its size.
struct Header {
  std::uint64_t mark;
  std::int64_t cols, budget;
  double p;
  std::uint64_t seed, stretches, levels;
};

constexpr std::uint64_t mark = 0x31544553524f434e;  // NCORSET1

}  // namespace

std::vector<std::byte> StreamingCoreset::to_bytes() const {
  ByteWriter bytes;
  bytes.put(Header{mark, cols_, budget_, p_, seed_, stretches_.size(), levels_.size()});
  sketch::put_stretches(stretches_, bytes);
  const auto put = [&bytes](const Level& level) {
    bytes.put(static_cast<std::uint64_t>(level.indices.size()));
    bytes.put_all<Index>(level.indices);
    bytes.put_all<double>(level.rows);
    bytes.put_all<double>(level.weights);
  };
  put(gathered_);
  for (const auto& level : levels_) put(level ? *level : Level{});
  return bytes.finish();
}

StreamingCoreset StreamingCoreset::from_bytes(std::span<const std::byte> data) {
  ByteReader bytes(data, "StreamingCoreset: these bytes are not those of a coreset");
  const auto header = bytes.get<Header>();
  constexpr std::int64_t largest = std::int64_t{1} << 40;
  bytes.check(header.mark == mark && header.cols >= 1 && header.cols < largest && header.budget > header.cols &&
              header.budget < largest && header.p >= 1 && std::isfinite(header.p) && header.levels <= most_levels);
  StreamingCoreset result(header.cols, header.p, header.budget, header.seed);
  result.stretches_ = sketch::get_stretches(header.stretches, bytes);
  const auto get = [&bytes, &header] {
    const auto size = bytes.get<std::uint64_t>();
    const double needed = static_cast<double>(size) * 8.0 * (static_cast<double>(header.cols) + 2);
    bytes.check(needed <= static_cast<double>(bytes.left()) && size <= static_cast<std::uint64_t>(header.budget));
    Level level{std::vector<Index>(size), std::vector<double>(size * static_cast<std::uint64_t>(header.cols)),
                std::vector<double>(size)};
    bytes.get_all<Index>(level.indices);
    bytes.get_all<double>(level.rows);
    bytes.get_all<double>(level.weights);
    for (const double weight : level.weights) bytes.check(weight > 0 && std::isfinite(weight));
    for (const double entry : level.rows) bytes.check(std::isfinite(entry));
    return level;
  };
  result.gathered_ = get();
  bytes.check(std::ssize(result.gathered_.indices) < header.budget);
  for (std::uint64_t k = 0; k < header.levels; ++k) {
    Level level = get();
    result.levels_.emplace_back(level.indices.empty() ? std::nullopt : std::optional<Level>(std::move(level)));
  }
  bytes.check(bytes.left() == 0);
  bytes.check(result.holds_rows_seen());
  return result;
}

/// Whether all rows were taken in, and none is there twice.
bool StreamingCoreset::holds_rows_seen() const {
  std::vector<Index> rows = gathered_.indices;
  for (const auto& level : levels_)
    if (level) rows.insert(rows.end(), level->indices.begin(), level->indices.end());
  std::sort(rows.begin(), rows.end());
  if (std::adjacent_find(rows.begin(), rows.end()) != rows.end()) return false;
  return std::all_of(rows.begin(), rows.end(), [this](Index row) {
    return std::any_of(stretches_.begin(), stretches_.end(),
                       [row](const auto& stretch) { return row >= stretch.first && row < stretch.second; });
  });
}

}  // namespace nearlinear

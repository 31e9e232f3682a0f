// From rows in any order to both sides of the observations: entries are moved to their columns and back, which sorts
// them in linear time and leaves those of one place in the order in which they were stored.
#include "completion/observations.hpp"

#include <cmath>
#include <limits>

#include "core/arithmetic.hpp"
#include "linalg/progress.hpp"
#include "sparse/transpose.hpp"

namespace nearlinear::completion {
namespace {

/// Entries by rows, sorted, one of each place.
struct Entries {
  Array<Index> begin;
  Array<std::int32_t> at;
  Array<double> value;
  Array<double> weight;  // empty: all are 1
};

template <class I>
void require_finite(const CsrView<double, I>& X, std::span<const double> weights, const char* function) {
  for (Index i = 0; i < X.rows; ++i)
    for (auto e = static_cast<std::size_t>(X.indptr[static_cast<std::size_t>(i)]);
         e < static_cast<std::size_t>(X.indptr[static_cast<std::size_t>(i) + 1]); ++e) {
      require(std::isfinite(X.data[e]), function, ": X has the entry ", X.data[e], " in row ", i, ", column ",
              X.indices[e], "; all observed entries must be finite");
      if (weights.empty()) continue;
      require(weights[e] >= 0 && std::isfinite(weights[e]), function, ": the entry of X in row ", i, ", column ",
              X.indices[e], " has the weight ", weights[e], "; weights must be finite and not negative");
    }
}

/// The rows of what is stored by `matrix`, whose entries come from the places `source` of X.
template <class I>
Entries gather(const CsrView<double, I>& matrix, const Array<I>& source, std::span<const double> weights) {
  const Index nnz = matrix.nnz();
  Entries entries{Array<Index>(matrix.rows + 1), Array<std::int32_t>(nnz), Array<double>(nnz),
                  Array<double>(weights.empty() ? 0 : nnz)};
  for (Index i = 0; i <= matrix.rows; ++i)
    entries.begin[i] = static_cast<Index>(matrix.indptr[static_cast<std::size_t>(i)]);
  for (Index e = 0; e < nnz; ++e) {
    entries.at[e] = static_cast<std::int32_t>(matrix.indices[static_cast<std::size_t>(e)]);
    entries.value[e] = matrix.data[static_cast<std::size_t>(e)];
    if (!weights.empty()) entries.weight[e] = weights[static_cast<std::size_t>(source[e])];
  }
  return entries;
}

bool is_increasing(const Entries& entries) {
  for (Index i = 0; i + 1 < entries.begin.size(); ++i)
    for (Index e = entries.begin[i] + 1; e < entries.begin[i + 1]; ++e)
      if (entries.at[e] <= entries.at[e - 1]) return false;
  return true;
}

/// Makes one entry of all that are stored for a place, and drops those of no weight.
void combine(Entries& entries, DuplicateEntries duplicates, const char* function) {
  const Index rows = entries.begin.size() - 1;
  const bool is_weighted = entries.weight.size() > 0;
  if (!is_weighted && is_increasing(entries)) return;
  const auto weight = [&](Index e) { return is_weighted ? entries.weight[e] : 1.0; };
  Index next = 0, end = 0;
  bool became_weighted = false;
  Array<double> total(entries.value.size());  // weights of what was combined
  for (Index i = 0; i < rows; ++i) {
    const Index begin = end;
    end = entries.begin[i + 1];
    entries.begin[i] = next;
    for (Index e = begin; e < end;) {
      const std::int32_t place = entries.at[e];
      Index after = e + 1;
      while (after < end && entries.at[after] == place) ++after;
      require(after == e + 1 || duplicates != DuplicateEntries::refuse, function, ": X holds the entry in row ", i,
              ", column ", place, " ", after - e, " times; say by `duplicates` what they mean");
      double value = entries.value[after - 1], sum = weight(after - 1);
      if (after > e + 1 && duplicates != DuplicateEntries::last) {
        double moment = 0, plain = 0;
        sum = 0;
        for (Index d = e; d < after; ++d) {
          sum += weight(d);
          moment += weight(d) * entries.value[d];
          plain += entries.value[d];
        }
        if (duplicates == DuplicateEntries::mean) {
          value = sum > 0 ? moment / sum : 0;
          became_weighted = true;
        } else {
          value = plain;
          sum /= static_cast<double>(after - e);
        }
      }
      e = after;
      if (sum == 0) continue;
      entries.at[next] = place;
      entries.value[next] = value;
      total[next++] = sum;
    }
  }
  entries.begin[rows] = next;
  entries.at.shrink(next);
  entries.value.shrink(next);
  total.shrink(next);
  entries.weight = is_weighted || became_weighted ? std::move(total) : Array<double>();
}

/// Cuts the lines into blocks of about as many entries each, by their lengths alone.
void cut(Side& side) {
  constexpr Index entries_of_block = 4096, line_cost = 16;
  std::vector<Index> starts{0};
  Index cost = 0;
  for (Index i = 0; i < side.lines; ++i) {
    side.longest = std::max(side.longest, side.count(i));
    if (cost >= entries_of_block) {
      starts.push_back(i);
      cost = 0;
    }
    cost += side.count(i) + line_cost;
  }
  if (side.lines > 0) starts.push_back(side.lines);
  side.block = Array<Index>(std::ssize(starts));
  std::copy(starts.begin(), starts.end(), side.block.data());
}

Side rows_of(Entries entries, Index lines, Index others) {
  Side side{lines,
            others,
            std::move(entries.begin),
            std::move(entries.at),
            std::move(entries.value),
            std::move(entries.weight),
            {},
            0};
  for (double& weight : side.root_weight) weight = std::sqrt(weight);
  cut(side);
  return side;
}

Side other_side(const Side& rows, const RunOptions& run) {
  const auto nnz = static_cast<std::size_t>(rows.value.size());
  Side side{rows.others,
            rows.lines,
            Array<Index>::zeros(rows.others + 1),
            Array<std::int32_t>(rows.value.size()),
            Array<double>(rows.value.size()),
            Array<double>(rows.root_weight.size()),
            {},
            0};
  // Many columns at a time write to as many places of memory: one pass counts, one moves.
  for (std::size_t e = 0; e < nnz; ++e) ++side.begin[rows.at[static_cast<Index>(e)] + 1];
  for (Index j = 0; j < side.lines; ++j) side.begin[j + 1] += side.begin[j];
  Array<Index> next(side.lines);
  std::copy_n(side.begin.data(), side.lines, next.data());
  Monitor monitor(run.keep_going);
  for (Index i = 0; i < rows.lines; ++i) {
    if (i % 4096 == 0) monitor.poll(static_cast<double>(i) / static_cast<double>(rows.lines));
    for (Index e = rows.begin[i]; e < rows.begin[i + 1]; ++e) {
      const Index to = next[rows.at[e]]++;
      side.at[to] = static_cast<std::int32_t>(i);
      side.value[to] = rows.value[e];
      if (rows.root_weight.size() > 0) side.root_weight[to] = rows.root_weight[e];
    }
  }
  cut(side);
  return side;
}

Observations both_sides(Side rows, const RunOptions& run) {
  Observations observed;
  observed.rows = std::move(rows);
  observed.cols = other_side(observed.rows, run);
  observed.total_weight = static_cast<double>(observed.nnz());
  if (observed.rows.root_weight.size() > 0) {
    observed.total_weight = 0;
    for (const double root : observed.rows.root_weight) observed.total_weight += root * root;
  }
  return observed;
}

}  // namespace

template <class I>
Observations observe(const CsrView<double, I>& X, std::span<const double> weights, DuplicateEntries duplicates,
                     const char* function, const RunOptions& run) {
  linalg::Progress progress(run);
  const bool is_sorted = require_valid_csr(X, function, "X", progress.part(0, 0.1));
  constexpr Index most_lines = std::numeric_limits<std::int32_t>::max();
  if (X.rows > most_lines || X.cols > most_lines) {
    std::ostringstream message;
    message << function << ": X is " << Shape{X.rows, X.cols} << "; it may have up to 2^31 - 1 rows and columns";
    throw std::overflow_error(message.str());
  }
  require(weights.empty() || std::ssize(weights) >= X.nnz(), function, ": weights has ", weights.size(),
          " entries and X stores ", X.nnz());
  require_finite(X, weights, function);

  Entries entries;
  if (is_sorted) {
    Array<I> places(weights.empty() ? 0 : X.nnz());
    for (Index e = 0; e < places.size(); ++e) places[e] = static_cast<I>(e);
    entries = gather(X, places, weights);
  } else {
    const auto once = sparse::transpose(X, progress.part(0.1, 0.3));
    const auto twice = sparse::transpose(once.matrix.view(), progress.part(0.3, 0.5));
    Array<I> places(X.nnz());
    for (Index e = 0; e < places.size(); ++e) places[e] = once.source[twice.source[e]];
    entries = gather(twice.matrix.view(), places, weights);
  }
  if (!is_sorted || !weights.empty()) combine(entries, duplicates, function);

  return both_sides(rows_of(std::move(entries), X.rows, X.cols), progress.part(0.5, 1));
}

Observations select(const Observations& observed, const std::vector<bool>& keeps, const RunOptions& run) {
  const Side& rows = observed.rows;
  Entries part{Array<Index>(rows.lines + 1), Array<std::int32_t>(observed.nnz()), Array<double>(observed.nnz()),
               Array<double>(rows.root_weight.size())};
  Index next = 0;
  part.begin[0] = 0;
  for (Index i = 0; i < rows.lines; ++i) {
    for (Index e = rows.begin[i]; e < rows.begin[i + 1]; ++e) {
      if (!keeps[static_cast<std::size_t>(e)]) continue;
      part.at[next] = rows.at[e];
      part.value[next] = rows.value[e];
      if (part.weight.size() > 0) part.weight[next] = rows.root_weight[e] * rows.root_weight[e];
      ++next;
    }
    part.begin[i + 1] = next;
  }
  part.at.shrink(next);
  part.value.shrink(next);
  if (part.weight.size() > 0) part.weight.shrink(next);
  return both_sides(rows_of(std::move(part), rows.lines, rows.others), run);
}

Split split(const Observations& observed, double share, std::uint64_t seed, const RunOptions& run) {
  constexpr std::uint64_t stream = 0x5917;
  constexpr Index least = 2;  // entries that a line keeps
  const RandomStream random(seed, stream);
  const Side& rows = observed.rows;
  Array<Index> left_in_col(rows.others);
  for (Index j = 0; j < rows.others; ++j) left_in_col[j] = observed.cols.count(j);
  std::vector<bool> keeps(static_cast<std::size_t>(observed.nnz()), true);
  for (Index i = 0; i < rows.lines; ++i) {
    Index left_in_row = rows.count(i);
    for (Index e = rows.begin[i]; e < rows.begin[i + 1]; ++e) {
      Index& left = left_in_col[rows.at[e]];
      if (left_in_row <= least || left <= least || random.uniform(static_cast<std::uint64_t>(e)) >= share) continue;
      keeps[static_cast<std::size_t>(e)] = false;
      --left_in_row;
      --left;
    }
  }
  Observations kept = select(observed, keeps, run);
  keeps.flip();
  return {std::move(kept), select(observed, keeps, run)};
}

double mean(const Observations& observed) {
  const Side& rows = observed.rows;
  double sum = 0;
  for (Index e = 0; e < rows.value.size(); ++e) {
    const double root = rows.root_weight.size() > 0 ? rows.root_weight[e] : 1.0;
    sum += root * root / observed.total_weight * rows.value[e];
  }
  return sum;
}

void subtract(Observations& observed, double shift) {
  for (Side* side : {&observed.rows, &observed.cols})
    for (double& value : side->value) value -= shift;
}

double square_sum(const Observations& observed) {
  const Side& rows = observed.rows;
  double sum = 0;
  for (Index e = 0; e < rows.value.size(); ++e) {
    const double scaled = rows.root_weight.size() > 0 ? rows.root_weight[e] * rows.value[e] : rows.value[e];
    sum += scaled * scaled;
  }
  return sum;
}

Scale rescale(Observations& observed) {
  double largest = 0;
  for (const double value : observed.rows.value) largest = std::max(largest, std::abs(value));
  if (largest == 0) return {};
  const Scale scale{std::ilogb(largest) / 2 * 2};
  for (Side* side : {&observed.rows, &observed.cols})
    for (double& value : side->value) value = scale.value(value);
  return scale;
}

double make_implicit(Observations& observed, const char* function, const RunOptions& run) {
  constexpr double least = 1e-12;  // below, an entry is as good as not stored
  const Side& rows = observed.rows;
  std::vector<bool> keeps;
  double sum = 0;
  for (Index i = 0; i < rows.lines; ++i)
    for (Index e = rows.begin[i]; e < rows.begin[i + 1]; ++e) {
      require(rows.value[e] >= 0, function, ": X has the entry ", rows.value[e], " in row ", i, ", column ", rows.at[e],
              "; implicit feedback cannot be negative");
      keeps.push_back(rows.value[e] > least);
      if (keeps.back()) sum += 1 + 1 / rows.value[e];
    }
  observed = select(observed, keeps, run);
  observed.total_weight = 0;
  for (Side* side : {&observed.rows, &observed.cols}) {
    side->root_weight = Array<double>(side->value.size());
    for (Index e = 0; e < side->value.size(); ++e) {
      const double x = side->value[e];
      side->root_weight[e] = std::sqrt(x);
      side->value[e] = 1 + 1 / x;
      observed.total_weight += 0.5 * x;  // from either side
    }
  }
  return sum;
}

template Observations observe(const CsrView<double, std::int32_t>&, std::span<const double>, DuplicateEntries,
                              const char*, const RunOptions&);
template Observations observe(const CsrView<double, std::int64_t>&, std::span<const double>, DuplicateEntries,
                              const char*, const RunOptions&);

}  // namespace nearlinear::completion

/// What the rows of a product over a semiring are summed in. All accumulators add in the order in which they are given
/// terms, so that they agree to the last bit.
///
/// A row is opened with its mask, is given terms, and is closed, which writes its entries with increasing columns. It
/// may write `columns` while it is open.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "nearlinear/core/array.hpp"

namespace nearlinear::detail {

/// Which columns may hold an entry: all; or those of the mask's row; or, complemented, all but those. Columns of a mask
/// increase strictly.
template <class I>
struct RowMask {
  enum class Kind { none, only, except };
  Kind kind = Kind::none;
  std::span<const I> columns = {};
};

/// The states of a column, or of a place in a table.
struct ColumnState {
  static constexpr std::uint8_t untouched = 0;
  static constexpr std::uint8_t in_mask = 1;
  static constexpr std::uint8_t used = 2;

  /// In which state a column takes its first term.
  template <class I>
  static std::uint8_t open(const RowMask<I>& mask) {
    return mask.kind == RowMask<I>::Kind::only ? in_mask : untouched;
  }
};

/// One sum and one state per column. Between rows, every state is `untouched`.
template <class S, class I>
class DenseRow {
  using T = typename S::Value;
  using Mask = RowMask<I>;

 public:
  DenseRow(const S& semiring, Index cols) : semiring_(semiring), cols_(cols) {}

  void open(const Mask& mask, Index /*entries*/, I* columns) {
    if (states_.data() == nullptr) {
      sums_ = Array<T>(cols_);
      states_ = Array<std::uint8_t>::zeros(cols_);  // last: what is made later may fail
    }
    mask_ = mask;
    open_ = ColumnState::open(mask);
    columns_ = columns;
    size_ = 0;
    for (const I column : mask.columns) states_[column] = ColumnState::in_mask;
  }

  void add(I column, T value) {
    std::uint8_t& state = states_[column];
    if (state == ColumnState::used) {
      sums_[column] = semiring_.add(sums_[column], value);
    } else if (state == open_) {
      state = ColumnState::used;
      sums_[column] = value;
      columns_[size_++] = column;
    }
  }

  Index close(T* data) {
    if (mask_.kind == Mask::Kind::only) {
      Index size = 0;
      for (const I column : mask_.columns) {
        if (states_[column] == ColumnState::used) {
          columns_[size] = column;
          data[size++] = sums_[column];
        }
        states_[column] = ColumnState::untouched;
      }
      return size;
    }
    sort_columns();
    for (Index e = 0; e < size_; ++e) {
      data[e] = sums_[columns_[e]];
      states_[columns_[e]] = ColumnState::untouched;
    }
    for (const I column : mask_.columns) states_[column] = ColumnState::untouched;
    return size_;
  }

 private:
  /// By comparisons, or where the columns are close together by a look at all states between the first and the last.
  void sort_columns() {
    if (size_ < 2) return;
    const auto [first, last] = std::minmax_element(columns_, columns_ + size_);
    const Index begin = *first, end = Index{*last} + 1;
    if (end - begin > size_ * Index{8}) {
      std::sort(columns_, columns_ + size_);
      return;
    }
    Index size = 0;
    for (Index column = begin; column < end; ++column)
      if (states_[column] == ColumnState::used) columns_[size++] = static_cast<I>(column);
  }

  S semiring_;
  Index cols_;
  Array<T> sums_;
  Array<std::uint8_t> states_;
  Mask mask_;
  std::uint8_t open_ = 0;
  I* columns_ = nullptr;
  Index size_ = 0;
};

/// Open addressing with linear probing in a table of the row's columns and its mask's, at most half full.
template <class S, class I>
class HashRow {
  using T = typename S::Value;
  using Mask = RowMask<I>;

 public:
  HashRow(const S& semiring, Index /*cols*/) : semiring_(semiring) {}

  void open(const Mask& mask, Index entries, I* columns) {
    mask_ = mask;
    columns_ = columns;
    size_ = 0;
    const bool only = mask.kind == Mask::Kind::only;  // then no other column takes a place in the table
    const auto most = static_cast<std::size_t>(only ? 0 : entries) + mask.columns.size();
    log2_size_ = static_cast<int>(std::bit_width(most)) + 1;
    const Index table = Index{1} << log2_size_;
    if (table > places_.size()) {
      places_ = Array<Place>();
      places_ = Array<Place>(table);
    }
    for (Index p = 0; p < table; ++p) places_[p].column = none;
    for (const I column : mask.columns) {
      Place& place = find(column);
      place.column = column;
      place.state = ColumnState::in_mask;
    }
  }

  void add(I column, T value) {
    Place& place = find(column);
    if (place.column == none) {
      if (mask_.kind == Mask::Kind::only) return;
      place.column = column;
    } else if (place.state == ColumnState::used) {
      place.sum = semiring_.add(place.sum, value);
      return;
    } else if (mask_.kind == Mask::Kind::except) {
      return;
    }
    place.state = ColumnState::used;
    place.sum = value;
    columns_[size_++] = column;
  }

  Index close(T* data) {
    if (mask_.kind == Mask::Kind::only) {
      Index size = 0;
      for (const I column : mask_.columns) {
        const Place& place = find(column);
        if (place.state != ColumnState::used) continue;
        columns_[size] = column;
        data[size++] = place.sum;
      }
      return size;
    }
    std::sort(columns_, columns_ + size_);
    for (Index e = 0; e < size_; ++e) data[e] = find(columns_[e]).sum;
    return size_;
  }

 private:
  static constexpr I none = -1;

  struct Place {
    T sum;
    I column;
    std::uint8_t state;
  };

  /// Where the column is, or the empty place for it. Leading bits of 2^64 / golden ratio times the column.
  Place& find(I column) {
    const std::uint64_t hash = static_cast<std::uint64_t>(column) * 0x9E3779B97F4A7C15U;
    const Index last = (Index{1} << log2_size_) - 1;
    auto place = static_cast<Index>(hash >> (64 - log2_size_));
    while (places_[place].column != none && places_[place].column != column) place = (place + 1) & last;
    return places_[place];
  }

  S semiring_;
  Array<Place> places_;
  Mask mask_;
  int log2_size_ = 1;
  I* columns_ = nullptr;
  Index size_ = 0;
};

/// A list of the row's terms, sorted by column in the end; those of one column stay in their order.
template <class S, class I>
class SortedRow {
  using T = typename S::Value;
  using Mask = RowMask<I>;

 public:
  SortedRow(const S& semiring, Index /*cols*/) : semiring_(semiring) {}

  void open(const Mask& mask, Index /*entries*/, I* columns) {
    mask_ = mask;
    columns_ = columns;
    terms_.clear();
  }

  void add(I column, T value) { terms_.push_back({column, value}); }

  Index close(T* data) {
    std::stable_sort(terms_.begin(), terms_.end(), [](const Term& a, const Term& b) { return a.column < b.column; });
    Index size = 0;
    auto masked = mask_.columns.begin();
    for (auto term = terms_.begin(); term != terms_.end();) {
      const I column = term->column;
      T sum = term->value;
      for (++term; term != terms_.end() && term->column == column; ++term) sum = semiring_.add(sum, term->value);
      while (masked != mask_.columns.end() && *masked < column) ++masked;
      const bool in_mask = masked != mask_.columns.end() && *masked == column;
      if (mask_.kind != Mask::Kind::none && in_mask != (mask_.kind == Mask::Kind::only)) continue;
      columns_[size] = column;
      data[size++] = sum;
    }
    return size;
  }

 private:
  struct Term {
    I column;
    T value;
  };

  S semiring_;
  std::vector<Term> terms_;
  Mask mask_;
  I* columns_ = nullptr;
};

}  // namespace nearlinear::detail

/// Entries of a product that are dropped while its rows are in the cache: they are never part of the result.
#pragma once

#include "core/largest_entries.hpp"
#include "nearlinear/sparse.hpp"

namespace nearlinear::sparse {

/// Which entries stay; see MatmulOptions.
struct Selection {
  bool prune_zeros = false;
  double threshold = 0;
  Index top_k = 0;

  [[nodiscard]] bool keeps_all() const { return !prune_zeros && threshold == 0 && top_k == 0; }
};

/// Moves what stays of `rows` rows, which lie one behind another, to the front, and corrects row_sizes. Returns how
/// many entries stay.
template <class T, class I>
Index select_entries(const Selection& selection, Index rows, I* indices, T* data, Index* row_sizes,
                     LargestEntries<T>& largest);

}  // namespace nearlinear::sparse

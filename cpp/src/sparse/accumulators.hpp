/// Memory of the kernels' accumulators; every worker has one, made when it is first needed.
#pragma once

#include <algorithm>

#include "nearlinear/core/array.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

/// One sum and one flag per column. Fresh pages are zero, so that columns that no product meets cost nothing.
template <class T>
class DenseMemory {
 public:
  static constexpr Index bytes_per_column = sizeof(T) + sizeof(std::uint8_t);

  DenseAccumulator<T> accumulator(Index cols) {
    if (sums_.data() == nullptr) {
      constexpr Index block = 64;
      const Index blocks = (cols + block - 1) / block;
      sums_ = Array<T>::zeros(blocks * block);
      flags_ = Array<std::uint8_t>::zeros(blocks * block);
      block_flags_ = Array<std::uint8_t>::zeros((blocks + 2 * block - 1) / block * block);  // looked at by 64
    }
    return {sums_.data(), flags_.data(), block_flags_.data()};
  }

 private:
  Array<T> sums_;
  Array<std::uint8_t> flags_;
  Array<std::uint8_t> block_flags_;
};

/// Whether dense accumulators take so little memory that nobody minds: little in itself, or beside the operands. (Where
/// they are larger, they are also slow: most of what they touch they touch for the first time.)
template <class T, class I>
[[nodiscard]] bool dense_is_affordable(const CsrView<T, I>& A, const CsrView<T, I>& B, int threads) {
  constexpr Index always = Index{16} << 20;
  const Index operands = (A.nnz() + B.nnz()) * static_cast<Index>(sizeof(T) + sizeof(I));
  return B.cols <= std::max(always, operands / 4) / (DenseMemory<T>::bytes_per_column * threads);
}

/// A table for the longest row so far.
template <class T, class I>
class HashMemory {
 public:
  HashAccumulator<T, I> accumulator(Index largest_row) {
    const int log2_size = hash_log2_size(largest_row);
    if (log2_size > log2_size_) {
      const Index size = Index{1} << log2_size;
      log2_size_ = 0;  // should the allocations throw
      keys_ = Array<I>(size);
      sums_ = Array<T>(size);
      entries_ = Array<typename HashAccumulator<T, I>::Entry>(size / 2);
      std::fill(keys_.begin(), keys_.end(), I{-1});
      log2_size_ = log2_size;
    }
    return {keys_.data(), sums_.data(), entries_.data(), log2_size_};
  }

 private:
  Array<I> keys_;
  Array<T> sums_;
  Array<typename HashAccumulator<T, I>::Entry> entries_;
  int log2_size_ = 0;
};

}  // namespace nearlinear::sparse

/// Puts the results of tokens, computed in any order, one behind another in their own order.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

/// A token's place in the result is known once all earlier tokens are counted. Until then its entries wait in a ring of
/// the worker that computed them; a token that nobody is behind of is written straight to its place. So each token
/// is computed once, only what the result holds is touched, and nobody spins: a worker sleeps only when too much waits.
///
/// Address space is reserved for the largest result possible. Where the system refuses, the tokens are computed twice:
/// first to be counted, then, after allocate_exactly(), to be placed.
template <class T, class I>
class Assembly {
 public:
  /// Where a token's entries go, slack included.
  struct Place {
    I* indices;
    T* data;
    Index* row_sizes;
  };

  Assembly(const std::vector<Token>& tokens, Index rows, int workers)
      : tokens_(tokens),
        row_ends_(rows + 1),
        starts_(tokens.size() + 1),
        counted_(tokens.size()),
        workers_(static_cast<std::size_t>(workers)) {
    row_ends_[0] = 0;
    for (const Token& token : tokens) ring_size_ += std::min(token.capacity + slack, most_waiting_entries - ring_size_);
  }

  /// Answers whether the system gives room for `capacity` entries.
  [[nodiscard]] bool reserve(Index capacity) noexcept {
    if (capacity > std::numeric_limits<Index>::max() - slack) return false;
    const Index size = capacity + slack;
    Memory data = Memory::try_allocate(Array<T>::bytes(size));  // the larger one first: it finds the larger kept block
    Memory indices = Memory::try_allocate(Array<I>::bytes(size));
    if (indices.empty() || data.empty()) return false;
    indices_ = Array<I>(std::move(indices), size);
    data_ = Array<T>(std::move(data), size);
    return true;
  }

  /// After all tokens were counted: room for the entries that there are.
  void allocate_exactly() {
    indices_ = Array<I>(nnz());
    data_ = Array<T>(nnz());
  }

  /// Nothing if some token will never be finished.
  [[nodiscard]] std::optional<Place> begin(Index t, int worker) {
    const Token& token = tokens_[index(t)];
    Worker& mine = workers_[index(worker)];
    Index* const row_sizes = token.all_columns ? row_ends_.data() + token.row_begin + 1 : &mine.ignored_size;
    mine.in_place = indices_.data() != nullptr && front_.load(std::memory_order_acquire) == t;
    if (mine.in_place) {
      const Index start = starts_[index(t)];
      return Place{indices_.data() + start, data_.data() + start, row_sizes};
    }
    const Index room = token.capacity + slack;
    while (!mine.ring.find(room)) {
      if (mine.ring.size() < ring_size_) {
        mine.grow(mine.ring.size() == 0 ? std::min(first_ring_size, ring_size_) : ring_size_);
      } else if (mine.waiting.empty()) {
        mine.grow(room);
      } else {
        if (!wait_for(mine.waiting.front().token)) return {};
        place_waiting(mine);
      }
    }
    return Place{mine.ring.indices(), mine.ring.data(), row_sizes};
  }

  void finish(Index t, int worker, Index count) {
    Worker& mine = workers_[index(worker)];
    if (front_.load(std::memory_order_acquire) <= t) announce(t, count);
    if (mine.in_place)
      close_rows(t);
    else if (indices_.data() != nullptr)  // otherwise it was only counted
      mine.waiting.push_back({t, count, mine.ring.keep(count)});
    place_waiting(mine);
  }

  /// Some token will never be finished: nobody may wait for it.
  void abandon() noexcept {
    const std::scoped_lock lock(mutex_);
    abandoned_ = true;
    advanced_.notify_all();
  }

  /// After all tokens are finished: places what a worker still holds.
  void place_rest(int worker) { place_waiting(workers_[index(worker)]); }

  [[nodiscard]] Index nnz() const { return starts_.back(); }

  /// The result; what is left of the reservation goes back to the system.
  Array<Index> take_row_ends() { return std::move(row_ends_); }
  Array<I> take_indices() { return take(indices_); }
  Array<T> take_data() { return take(data_); }

 private:
  template <class N>
  static std::size_t index(N n) {
    return static_cast<std::size_t>(n);
  }

  // What may wait for a slow token, some 8 MB a worker. A token is done in well under a millisecond, but a thread may
  // lose its processor for several.
  static constexpr Index most_waiting_entries = (Index{8} << 20) / static_cast<Index>(sizeof(T) + sizeof(I));

  // A few tokens: where no thread is slow, no more than that waits, and that stays in the cache.
  static constexpr Index first_ring_size = Index{1} << 16;

  /// Entries that wait, first in, first out, in memory that every token of the worker uses again.
  class Ring {
   public:
    Ring() = default;
    explicit Ring(Index size) : indices_(size), data_(size) {}

    /// Looks for so many places in a row, where indices() and data() then are.
    [[nodiscard]] bool find(Index room) {
      if (first_ == none) end_ = 0;
      const bool wraps = first_ != none && end_ <= first_;
      const Index limit = wraps ? first_ : indices_.size();
      if (room <= limit - end_) {
        begin_ = end_;
        return true;
      }
      if (wraps || first_ == none || room > first_) return false;
      begin_ = 0;
      return true;
    }

    [[nodiscard]] Index size() const { return indices_.size(); }
    [[nodiscard]] I* indices() const { return indices_.data() + begin_; }
    [[nodiscard]] T* data() const { return data_.data() + begin_; }

    /// Keeps the first `count` entries of the places that were found; answers where they begin.
    Index keep(Index count) {
      if (first_ == none) first_ = begin_;
      end_ = begin_ + std::max(count, Index{1});  // or a ring with nothing in it would look full
      return begin_;
    }

    /// Everything before `first` is free again.
    void release_before(Index first) { first_ = first; }
    void release_all() { first_ = none; }

    [[nodiscard]] const I* indices(Index begin) const { return indices_.data() + begin; }
    [[nodiscard]] const T* data(Index begin) const { return data_.data() + begin; }

   private:
    static constexpr Index none = -1;
    Array<I> indices_;
    Array<T> data_;
    Index begin_ = 0;
    Index end_ = 0;
    Index first_ = none;  // of what waits
  };

  struct Waiting {
    Index token;
    Index count;
    Index begin;  // in the ring
  };

  struct alignas(64) Worker {  // a cache line of its own
    Ring ring;
    std::vector<Waiting> waiting;  // in the order of tokens
    Index ignored_size = 0;
    bool in_place = false;

    /// Moves what waits to a ring of another size, which has room for it.
    void grow(Index size) {
      if (waiting.empty()) ring = Ring();  // first gives back what it has
      Ring grown(size);
      for (Waiting& one : waiting) {
        static_cast<void>(grown.find(one.count));
        std::memcpy(grown.indices(), ring.indices(one.begin), index(one.count) * sizeof(I));
        std::memcpy(grown.data(), ring.data(one.begin), index(one.count) * sizeof(T));
        one.begin = grown.keep(one.count);
      }
      ring = std::move(grown);
    }
  };

  [[nodiscard]] Index count(Index t) const { return starts_[index(t) + 1] - starts_[index(t)]; }

  /// Tells the others that the token has `entries` entries, and moves the front over all that are now counted in a row.
  void announce(Index t, Index entries) {
    const std::scoped_lock lock(mutex_);
    starts_[index(t) + 1] = entries;
    counted_[index(t)] = true;
    Index front = front_.load(std::memory_order_relaxed);
    if (front != t) return;
    for (; front < static_cast<Index>(tokens_.size()) && counted_[index(front)]; ++front)
      starts_[index(front) + 1] += starts_[index(front)];
    front_.store(front, std::memory_order_release);
    advanced_.notify_all();
  }

  /// Sleeps until the token can be placed; answers false if that will never be.
  [[nodiscard]] bool wait_for(Index t) {
    std::unique_lock lock(mutex_);
    advanced_.wait(lock, [&] { return abandoned_ || front_.load(std::memory_order_relaxed) > t; });
    return !abandoned_;
  }

  void place_waiting(Worker& mine) {
    const Index front = front_.load(std::memory_order_acquire);
    std::size_t placed = 0;
    for (; placed < mine.waiting.size() && mine.waiting[placed].token < front; ++placed) {
      const auto [t, entries, begin] = mine.waiting[placed];
      std::memcpy(indices_.data() + starts_[index(t)], mine.ring.indices(begin), index(entries) * sizeof(I));
      std::memcpy(data_.data() + starts_[index(t)], mine.ring.data(begin), index(entries) * sizeof(T));
      close_rows(t);
    }
    mine.waiting.erase(mine.waiting.begin(), mine.waiting.begin() + static_cast<std::ptrdiff_t>(placed));
    if (mine.waiting.empty())
      mine.ring.release_all();
    else
      mine.ring.release_before(mine.waiting.front().begin);
  }

  /// Turns the sizes of the token's rows into their ends. A row in parts ends with its last part.
  void close_rows(Index t) {
    const Token& token = tokens_[index(t)];
    Index end = starts_[index(t)];
    if (!token.all_columns) {
      const bool last = index(t) + 1 == tokens_.size() || tokens_[index(t) + 1].row_begin != token.row_begin;
      if (last) row_ends_[token.row_begin + 1] = end + count(t);
      return;
    }
    for (Index row = token.row_begin; row < token.row_end; ++row) {
      end += row_ends_[row + 1];
      row_ends_[row + 1] = end;
    }
  }

  template <class Element>
  Array<Element> take(Array<Element>& array) {
    array.shrink(nnz());
    return std::move(array);
  }

  const std::vector<Token>& tokens_;
  Array<Index> row_ends_;      // sizes of rows until their token is placed; element 0 is 0
  std::vector<Index> starts_;  // of tokens, up to the front; behind it, element t + 1 is the size of a counted token t
  std::vector<bool> counted_;  // under the mutex
  std::vector<Worker> workers_;
  Index ring_size_ = 0;
  Array<I> indices_;
  Array<T> data_;
  std::atomic<Index> front_{0};  // all earlier tokens are counted
  std::mutex mutex_;
  std::condition_variable advanced_;
  bool abandoned_ = false;
};

/// Computes all tokens: compute(token, worker, place) writes a token's entries and returns how many there are.
template <class T, class I, class Compute>
void compute_tokens(Assembly<T, I>& assembly, const std::vector<Token>& tokens, int threads, Monitor& monitor,
                    const Compute& compute) {
  const auto count = std::ssize(tokens);
  Monitor unwatched{KeepGoing{}};  // polled below: what stops one worker must not leave another waiting for it
  parallel_for_workers(count, threads, unwatched, [&](Index t, int worker) {
    try {
      if (worker == 0) monitor.poll(static_cast<double>(t) / static_cast<double>(count));
      if (const auto place = assembly.begin(t, worker))
        assembly.finish(t, worker, compute(tokens[static_cast<std::size_t>(t)], worker, *place));
    } catch (...) {
      assembly.abandon();
      throw;
    }
  });
}

/// The same, for the result: once, or where there is no room for `capacity` entries, twice.
template <class T, class I, class Compute>
void assemble(Assembly<T, I>& assembly, const std::vector<Token>& tokens, Index capacity, int threads, Monitor& monitor,
              const Compute& compute) {
  constexpr double begin = 0.1, middle = 0.55;  // before comes the cutting of tokens
  if (assembly.reserve(capacity)) {
    monitor.enter_stage(begin, 1);
  } else {
    monitor.enter_stage(begin, middle);
    compute_tokens(assembly, tokens, threads, monitor, compute);
    assembly.allocate_exactly();
    monitor.enter_stage(middle, 1);
  }
  compute_tokens(assembly, tokens, threads, monitor, compute);
  parallel_for(threads, threads, monitor, [&](Index worker) { assembly.place_rest(static_cast<int>(worker)); });
}

}  // namespace nearlinear::sparse

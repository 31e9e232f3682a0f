/// Puts the results of tokens, computed in any order, one behind another in their own order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include "core/threads.hpp"
#include "nearlinear/sparse.hpp"
#include "sparse/kernels.hpp"

namespace nearlinear::sparse {

/// A token's place in the result is known once all earlier tokens are counted. Until then its entries wait in a buffer
/// of the worker that computed them; a token that nobody is behind of is written straight to its place. So each token
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

  [[nodiscard]] Place begin(Index t, int worker) {
    const Token& token = tokens_[index(t)];
    Worker& mine = workers_[index(worker)];
    Index* const row_sizes = token.all_columns ? row_ends_.data() + token.row_begin + 1 : &mine.ignored_size;
    if (indices_.data() != nullptr && front_.load(std::memory_order_acquire) == t) {
      mine.current = {};
      const Index start = starts_[index(t)];
      return {indices_.data() + start, data_.data() + start, row_sizes};
    }
    mine.current = mine.buffer(token.capacity + slack);
    return {mine.current.indices.data(), mine.current.data.data(), row_sizes};
  }

  void finish(Index t, int worker, Index count) {
    Worker& mine = workers_[index(worker)];
    const bool in_place = mine.current.indices.data() == nullptr;
    if (front_.load(std::memory_order_acquire) <= t) announce(t, count);
    if (in_place) {
      close_rows(t);
    } else if (indices_.data() == nullptr) {
      mine.recycle(std::move(mine.current));  // only counted
    } else {
      mine.waiting.push_back({t, std::move(mine.current)});
      mine.waiting_entries += count;
    }
    place_waiting(mine);
    if (mine.waiting_entries > most_waiting_entries) {
      std::unique_lock lock(mutex_);
      const Index oldest = mine.waiting.front().token;
      advanced_.wait(lock, [&] { return abandoned_ || front_.load(std::memory_order_relaxed) > oldest; });
    }
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
  // Buffers that wait for a slow token, of at most about 8 MB a worker. A token is done in well under a millisecond,
  // but a thread may lose its processor for several.
  static constexpr Index most_waiting_entries = (Index{8} << 20) / static_cast<Index>(sizeof(T) + sizeof(I));
  static constexpr Index largest_kept_buffer = Index{1} << 16;

  struct Buffer {
    Array<I> indices;
    Array<T> data;
  };

  struct Waiting {
    Index token;
    Buffer buffer;
  };

  struct alignas(64) Worker {  // a cache line of its own
    Buffer current;
    std::vector<Buffer> spare;
    std::vector<Waiting> waiting;  // in the order of tokens
    Index waiting_entries = 0;
    Index ignored_size = 0;

    Buffer buffer(Index capacity) {
      if (!spare.empty()) {
        Buffer last = std::move(spare.back());
        spare.pop_back();
        if (last.indices.size() >= capacity) return last;
      }
      const Index size = std::max(capacity, Index{1} << 14);
      return {Array<I>(size), Array<T>(size)};
    }

    void recycle(Buffer&& buffer) {
      if (buffer.indices.size() <= largest_kept_buffer) spare.push_back(std::move(buffer));
    }
  };

  template <class N>
  static std::size_t index(N n) {
    return static_cast<std::size_t>(n);
  }

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

  void place_waiting(Worker& mine) {
    const Index front = front_.load(std::memory_order_acquire);
    std::size_t placed = 0;
    for (; placed < mine.waiting.size() && mine.waiting[placed].token < front; ++placed) {
      auto& [t, buffer] = mine.waiting[placed];
      std::memcpy(indices_.data() + starts_[index(t)], buffer.indices.data(), index(count(t)) * sizeof(I));
      std::memcpy(data_.data() + starts_[index(t)], buffer.data.data(), index(count(t)) * sizeof(T));
      close_rows(t);
      mine.waiting_entries -= count(t);
      mine.recycle(std::move(buffer));
    }
    mine.waiting.erase(mine.waiting.begin(), mine.waiting.begin() + static_cast<std::ptrdiff_t>(placed));
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
      const auto place = assembly.begin(t, worker);
      assembly.finish(t, worker, compute(tokens[static_cast<std::size_t>(t)], worker, place));
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

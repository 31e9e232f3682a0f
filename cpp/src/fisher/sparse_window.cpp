// The largest entries of every gradient, after I.-V. Modoranu, A. Kalinov, E. Kurtic, E. Frantar and D. Alistarh,
// "Error feedback can accurately compress preconditioners", ICML 2024: what is left out of one gradient is added to the
// next.
#include <algorithm>
#include <cmath>
#include <utility>

#include "fisher/gradient_window.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear::fisher {
namespace {

/// Columns of a tile: their numbers fit 16 bits, and their part of a vector the second-level cache.
constexpr Index sparse_cols = Index{1} << 16;

/// Every tile keeps as many entries of every gradient: tile after tile, slot after slot, columns in rising order.
template <class T, class S>
class SparseWindow final : public GradientWindow<T> {
 public:
  SparseWindow(GradientStorage storage, Index window, Index n_params, double kept)
      : checker_(storage, 0, n_params, Gradients::Layout::by_rows), window_(window), cols_(n_params) {
    for (Index t = 0; t < ceil_divide(cols_, sparse_cols); ++t) {
      begins_.push_back(per_slot_);
      per_slot_ += std::clamp<Index>(static_cast<Index>(std::ceil(kept * static_cast<double>(width(t)))), 1, width(t));
    }
    begins_.push_back(per_slot_);
    values_ = Array<S>::zeros(checked_product(window, per_slot_));
    columns_ = Array<std::uint16_t>::zeros(values_.size());
    residual_ = Array<T>::zeros(cols_);
    scales_.assign(static_cast<std::size_t>(window), 1.0);
  }

  [[nodiscard]] Index rows() const override { return window_; }
  [[nodiscard]] Index cols() const override { return cols_; }
  [[nodiscard]] std::size_t nbytes() const override {
    return Array<S>::bytes(values_.size()) + Array<std::uint16_t>::bytes(columns_.size()) + Array<T>::bytes(cols_) +
           scales_.size() * sizeof(double);
  }

  [[nodiscard]] Admission<T> admit(MatrixView<const T> given, Index count, Pass pass) const override {
    Admission<T> admission;
    admission.residual = Array<T>(cols_);
    std::copy(residual_.begin(), residual_.end(), admission.residual.begin());
    admission.memory = Array<T>(checked_product(count, cols_));
    const MatrixView<T> taken(admission.memory.data(), count, cols_);
    const Array<T> unused(count < given.rows() ? cols_ : 0);
    for (Index i = 0; i < given.rows(); ++i) {
      [[maybe_unused]] const Gradients::Size size = checker_.check<T>(given.row(i), "update", "g", pass);
      for (Index j = 0; j < cols_; ++j) admission.residual[j] += given(i, j);
      const double largest = checker_.check<T>(admission.residual.span(), "update", "g", pass).largest;
      const Index row = i - (given.rows() - count);
      take_largest(admission.residual, largest, row < 0 ? unused.span() : taken.row(row), pass);
      if (row >= 0) admission.largest.push_back(largest);
    }
    admission.rows = taken;
    return admission;
  }

  void store(Index slot, const Admission<T>& admission, Index row, Pass pass) override {
    const T* const gradient = admission.rows.row(row).data();
    const double factor = checker_.factor(admission.largest[static_cast<std::size_t>(row)]);
    scales_[static_cast<std::size_t>(slot)] = 1 / factor;
    for_each_tile(pass, [&](Index t) {
      const Index first = place(t, slot), most = begins_[at(t + 1)] - begins_[at(t)];
      Index entries = 0;
      for (Index j = 0; j < width(t) && entries < most; ++j) {
        const auto value = static_cast<double>(gradient[t * sparse_cols + j]);
        if (value == 0) continue;
        columns_[first + entries] = static_cast<std::uint16_t>(j);
        kernels_for<S>().from_double(&value, 1, factor, values_.data() + first + entries++);
      }
      const double zero = 0;
      for (; entries < most; ++entries) {
        columns_[first + entries] = 0;
        kernels_for<S>().from_double(&zero, 1, 1, values_.data() + first + entries);
      }
    });
  }

  void settle(Admission<T>&& admission) noexcept override { residual_ = std::move(admission.residual); }

  void get_row(Index slot, std::span<T> out) const override {
    std::fill(out.begin(), out.end(), T{0});
    for (Index t = 0; t < tiles(); ++t)
      for_each_entry(t, slot, [&](Index j, double value) { out[at(t * sparse_cols + j)] += static_cast<T>(value); });
  }

  void multiply_many(MatrixView<const T> X, double* U, Pass pass) const override {
    const Index p = X.rows(), groups = linalg::group_count(tiles(), 1, window_ * p * Index{sizeof(double)});
    const int threads = linalg::threads_at(linalg::memory_rate, pass.n_threads, 4, values_.size(), p);
    linalg::sum_over_groups<double>(
        groups, window_ * p, threads, pass.monitor, U, [&](Index group, double* partial, const linalg::Poll& poll) {
          const linalg::RowGroup range(tiles(), 1, groups, group);
          for (Index t = range.begin; t < range.end; ++t)
            for (Index slot = 0; slot < window_; ++slot) {
              poll(range.fraction(t));
              for (Index q = 0; q < p; ++q) {
                const T* const x = X.data() + q * X.row_stride() + t * sparse_cols;
                double sum = 0;
                for_each_entry(t, slot, [&](Index j, double value) { sum += value * static_cast<double>(x[j]); });
                partial[slot * p + q] += sum;
              }
            }
        });
  }

  void combine_many(const double* C, double alpha, MatrixView<const T> X, MatrixView<T> Y, Pass pass) const override {
    const Index p = Y.rows();
    for_each_tile(pass, [&](Index t) {
      const Array<double> sums(width(t));
      for (Index q = 0; q < p; ++q) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (Index slot = 0; slot < window_; ++slot) {
          const double c = C[slot * p + q];
          for_each_entry(t, slot, [&](Index j, double value) { sums[j] += c * value; });
        }
        for (Index j = 0; j < width(t); ++j) {
          const Index column = t * sparse_cols + j;
          Y(q, column) = static_cast<T>(alpha == 0 ? sums[j] : alpha * static_cast<double>(X(q, column)) + sums[j]);
        }
      }
    });
  }

  [[nodiscard]] Index row_bytes() const override { return per_slot_ * Index{sizeof(S) + sizeof(std::uint16_t)}; }

  void save_row(Index slot, std::byte* out, double& scale) const override {
    scale = scales_[at(slot)];
    for (Index t = 0; t < tiles(); ++t) {
      const Index first = place(t, slot), entries = begins_[at(t + 1)] - begins_[at(t)];
      out = std::copy_n(reinterpret_cast<const std::byte*>(values_.data() + first), entries * Index{sizeof(S)}, out);
      out = std::copy_n(reinterpret_cast<const std::byte*>(columns_.data() + first), entries * Index{2}, out);
    }
  }

  void load_row(Index slot, const std::byte* in, double scale) override {
    scales_[at(slot)] = scale;
    for (Index t = 0; t < tiles(); ++t) {
      const Index first = place(t, slot), entries = begins_[at(t + 1)] - begins_[at(t)];
      std::copy_n(in, entries * Index{sizeof(S)}, reinterpret_cast<std::byte*>(values_.data() + first));
      in += entries * Index{sizeof(S)};
      std::copy_n(in, entries * Index{2}, reinterpret_cast<std::byte*>(columns_.data() + first));
      in += entries * Index{2};
      // Columns come from outside: none may lie behind the tile.
      for (Index e = 0; e < entries; ++e)
        columns_[first + e] = std::min(columns_[first + e], static_cast<std::uint16_t>(width(t) - 1));
    }
  }

  [[nodiscard]] std::span<T> residual() override { return residual_.span(); }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  [[nodiscard]] Index tiles() const { return std::ssize(begins_) - 1; }
  [[nodiscard]] Index width(Index tile) const { return std::min(sparse_cols, cols_ - tile * sparse_cols); }
  [[nodiscard]] Index place(Index tile, Index slot) const {
    return begins_[at(tile)] * window_ + slot * (begins_[at(tile + 1)] - begins_[at(tile)]);
  }

  template <class Body>
  void for_each_tile(Pass pass, const Body& body) const {
    parallel_for(tiles(), linalg::threads_at(linalg::memory_rate, pass.n_threads, 4, cols_), pass.monitor, body);
  }

  /// body(column of the tile, value). Entries that nothing was left for are zeros of column 0.
  template <class Body>
  void for_each_entry(Index tile, Index slot, const Body& body) const {
    constexpr Index together = 256;
    const Index first = place(tile, slot), end = place(tile, slot + 1);
    const double scale = scales_[at(slot)];
    double values[together];
    for (Index begin = first; begin < end; begin += together) {
      const Index count = std::min(together, end - begin);
      kernels_for<S>().to_double(values_.data() + begin, count, values);
      for (Index e = 0; e < count; ++e) body(Index{columns_[begin + e]}, scale * values[e]);
    }
  }

  /// Moves the largest entries of every tile from `rest` to `taken`, rounded as they will be stored; of equal ones the
  /// first. Zeros are not worth a place.
  void take_largest(const Array<T>& rest, double largest, std::span<T> taken, Pass pass) const {
    for_each_tile(pass, [&](Index t) {
      const Index begin = t * sparse_cols, most = begins_[at(t + 1)] - begins_[at(t)];
      std::vector<T> sizes(at(width(t)));
      for (Index j = 0; j < width(t); ++j) sizes[at(j)] = std::abs(rest[begin + j]);
      std::nth_element(sizes.begin(), sizes.begin() + (most - 1), sizes.end(), std::greater<>());
      const T least = sizes[at(most - 1)];
      Index equal = most - std::count_if(sizes.begin(), sizes.begin() + most, [=](T size) { return size > least; });
      for (Index j = 0; j < width(t); ++j) {
        const T size = std::abs(rest[begin + j]);
        const bool is_taken = size > least || (size == least && equal-- > 0);
        taken[at(begin + j)] = is_taken ? rest[begin + j] : T{0};
      }
      checker_.round<T>(taken.subspan(at(begin), at(width(t))), largest, taken.subspan(at(begin), at(width(t))));
      for (Index j = 0; j < width(t); ++j) rest[begin + j] -= taken[at(begin + j)];
    });
  }

  Gradients checker_;  // of no gradients: what it says of numbers holds here, too
  Index window_;
  Index cols_;
  Index per_slot_ = 0;
  std::vector<Index> begins_;  // of tiles, in entries of one slot
  Array<S> values_;
  Array<std::uint16_t> columns_;
  std::vector<double> scales_;
  Array<T> residual_;
};

}  // namespace

template <class T>
std::unique_ptr<GradientWindow<T>> make_sparse_window(GradientStorage storage, Index window, Index n_params,
                                                      double kept) {
  switch (storage) {
    case GradientStorage::float64:
      return std::make_unique<SparseWindow<T, double>>(storage, window, n_params, kept);
    case GradientStorage::float32:
      return std::make_unique<SparseWindow<T, float>>(storage, window, n_params, kept);
    case GradientStorage::float16:
      return std::make_unique<SparseWindow<T, Half>>(storage, window, n_params, kept);
    case GradientStorage::bfloat16:
      break;
  }
  return std::make_unique<SparseWindow<T, BFloat16>>(storage, window, n_params, kept);
}

template std::unique_ptr<GradientWindow<float>> make_sparse_window(GradientStorage, Index, Index, double);
template std::unique_ptr<GradientWindow<double>> make_sparse_window(GradientStorage, Index, Index, double);

}  // namespace nearlinear::fisher

// Where gradients lie, and how they come in and out.
#include "fisher/gradients.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>

#include "core/threads.hpp"
#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear::fisher {
namespace {

template <class S>
Tiles<S> tiles_of(void* memory, Index rows, Index cols, Gradients::Layout layout) {
  auto* const first = static_cast<S*>(memory);
  if (layout == Gradients::Layout::by_rows) return {first, rows, cols, cols, tile_cols};
  const Index width = std::min(cols, tile_cols);
  return {first, rows, cols, width, checked_product(rows, width)};
}

}  // namespace

template <class T>
Gradients::Gradients(MatrixView<const T> gradients)
    // Nothing writes to tiles of memory that is not its own.
    : tiles_(Tiles<T>{const_cast<T*>(gradients.data()), gradients.rows(), gradients.cols(), gradients.row_stride(),
                      tile_cols}),
      storage_(sizeof(T) == 8 ? GradientStorage::float64 : GradientStorage::float32),
      rows_(gradients.rows()),
      cols_(gradients.cols()) {}

Gradients::Gradients(GradientStorage storage, Index rows, Index cols, Layout layout)
    : storage_(storage), rows_(rows), cols_(cols) {
  Index entries = checked_product(rows, cols);
  // The last tile is as wide as the others, so that all begin where vectors do.
  if (layout == Layout::by_tiles && cols > tile_cols)
    entries = checked_product(rows, checked_product(ceil_divide(cols, tile_cols), tile_cols));
  memory_ = Array<std::byte>::zeros(checked_product(entries, bytes_per_entry(storage)));
  switch (storage) {
    case GradientStorage::float64:
      tiles_ = tiles_of<double>(memory_.data(), rows, cols, layout);
      break;
    case GradientStorage::float32:
      tiles_ = tiles_of<float>(memory_.data(), rows, cols, layout);
      break;
    case GradientStorage::float16:
      tiles_ = tiles_of<Half>(memory_.data(), rows, cols, layout);
      scales_.assign(static_cast<std::size_t>(rows), 1.0);
      break;
    case GradientStorage::bfloat16:
      tiles_ = tiles_of<BFloat16>(memory_.data(), rows, cols, layout);
      break;
  }
}

std::size_t Gradients::nbytes() const {
  return static_cast<std::size_t>(memory_.size()) + scales_.size() * sizeof(double);
}

Gradients Gradients::columns(Index begin, Index end) const {
  Gradients part;
  part.tiles_ = std::visit([&](const auto& tiles) -> AnyTiles { return tiles.columns(begin, end); }, tiles_);
  part.storage_ = storage_;
  part.rows_ = rows_;
  part.cols_ = end - begin;
  part.scales_ = scales_;
  return part;
}

Gradients Gradients::first(Index rows) const {
  Gradients part;
  part.tiles_ = std::visit(
      [&](auto tiles) -> AnyTiles {
        tiles.rows = rows;
        return tiles;
      },
      tiles_);
  part.storage_ = storage_;
  part.rows_ = rows;
  part.cols_ = cols_;
  if (!scales_.empty()) part.scales_.assign(scales_.begin(), scales_.begin() + rows);
  return part;
}

template <class T>
Gradients::Size Gradients::check(std::span<const T> gradient, const char* function, const char* argument,
                                 Pass pass) const {
  const Index d = std::ssize(gradient), groups = linalg::group_count(ceil_divide(d, tile_cols), 1, 16);
  std::vector<Size> sizes(static_cast<std::size_t>(groups));
  const int threads = linalg::threads_at(linalg::memory_rate, pass.n_threads, 2, d);
  parallel_for(groups, threads, pass.monitor, [&](Index group) {
    const linalg::RowGroup range(d, tile_cols, groups, group);
    Size& size = sizes[static_cast<std::size_t>(group)];
    kernels_for<T>().measure(gradient.data() + range.begin, range.end - range.begin, size.largest, size.square);
  });
  Size all{};
  for (const Size& size : sizes) all = {std::max(all.largest, size.largest), all.square + size.square};
  if (!std::isfinite(all.square))  // a NaN or infinite entry makes it so
    for (std::size_t j = 0; j < gradient.size(); ++j)
      require(std::isfinite(gradient[j]), function, ": ", argument, " has the entry ", gradient[j], " at index ", j,
              "; all entries must be finite");
  const double most = storage_ == GradientStorage::float32    ? double{std::numeric_limits<float>::max()}
                      : storage_ == GradientStorage::bfloat16 ? 0x1.FEp127
                                                              : std::numeric_limits<double>::max();
  if (all.largest > most || !std::isfinite(all.square))
    throw std::overflow_error(std::string(function) + ": " + argument +
                              " is too large: its entries must fit the storage, and the square of its norm a double");
  return all;
}

double Gradients::factor(double largest) const {
  if (storage_ != GradientStorage::float16 || largest == 0) return 1;
  // The largest entry becomes 2^14 to 2^15, half of the largest number of 16 bits, so that rounding stays in range.
  return std::ldexp(1.0, 14 - std::ilogb(largest));
}

template <class T>
void Gradients::set_row(Index row, std::span<const T> gradient, double largest, Pass pass) {
  if (!scales_.empty()) scales_[static_cast<std::size_t>(row)] = 1 / factor(largest);
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        const int threads = linalg::threads_at(linalg::memory_rate, pass.n_threads, 2, cols_);
        parallel_for(tiles.count(), threads, pass.monitor, [&](Index t) {
          const T* const from = gradient.data() + t * tile_cols;
          if constexpr (std::is_same_v<S, T>) {
            std::copy_n(from, tiles.width(t), tiles.at(t, row));
          } else {
            alignas(64) double entries[tile_cols];
            std::copy_n(from, tiles.width(t), entries);
            kernels_for<S>().from_double(entries, tiles.width(t), factor(largest), tiles.at(t, row));
          }
        });
      },
      tiles_);
}

template <class T>
void Gradients::round(std::span<const T> part, double largest, std::span<T> out) const {
  std::visit(
      [&]<class S>(const Tiles<S>&) {
        alignas(64) double entries[tile_cols];
        alignas(64) S stored[tile_cols];
        const double before = factor(largest), after = 1 / before;
        for (Index begin = 0; begin < std::ssize(part); begin += tile_cols) {
          const Index count = std::min(tile_cols, std::ssize(part) - begin);
          std::copy_n(part.data() + begin, count, entries);
          kernels_for<S>().from_double(entries, count, before, stored);
          kernels_for<S>().to_double(stored, count, entries);
          std::transform(entries, entries + count, out.data() + begin,
                         [after](double entry) { return static_cast<T>(entry * after); });
        }
      },
      tiles_);
}

template <class T>
void Gradients::round(std::span<const T> gradient, double largest, std::span<T> out, Pass pass) const {
  const Index d = std::ssize(gradient), threads = linalg::threads_at(linalg::memory_rate, pass.n_threads, 2, d);
  parallel_for(ceil_divide(d, tile_cols), static_cast<int>(threads), pass.monitor, [&](Index t) {
    const auto begin = static_cast<std::size_t>(t * tile_cols);
    const auto count = static_cast<std::size_t>(std::min(tile_cols, d - t * tile_cols));
    round<T>(gradient.subspan(begin, count), largest, out.subspan(begin, count));
  });
}

template <class T>
void Gradients::get_row(Index row, std::span<T> out) const {
  const double scale = scales_.empty() ? 1.0 : scales_[static_cast<std::size_t>(row)];
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        alignas(64) double entries[tile_cols];
        for (Index t = 0; t < tiles.count(); ++t) {
          const Index width = tiles.width(t);
          kernels_for<S>().to_double(tiles.at(t, row), width, entries);
          std::transform(entries, entries + width, out.data() + t * tile_cols,
                         [scale](double entry) { return static_cast<T>(entry * scale); });
        }
      },
      tiles_);
}

void Gradients::save_row(Index row, std::byte* out, double& scale) const {
  scale = scales_.empty() ? 1.0 : scales_[static_cast<std::size_t>(row)];
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        for (Index t = 0; t < tiles.count(); ++t)
          std::memcpy(out + t * tile_cols * Index{sizeof(S)}, tiles.at(t, row),
                      static_cast<std::size_t>(tiles.width(t)) * sizeof(S));
      },
      tiles_);
}

void Gradients::load_row(Index row, const std::byte* in, double scale) {
  if (!scales_.empty()) scales_[static_cast<std::size_t>(row)] = scale;
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        for (Index t = 0; t < tiles.count(); ++t)
          std::memcpy(tiles.at(t, row), in + t * tile_cols * Index{sizeof(S)},
                      static_cast<std::size_t>(tiles.width(t)) * sizeof(S));
      },
      tiles_);
}

void Gradients::gather(std::span<const Index> columns, MatrixView<double> out) const {
  std::visit(
      [&]<class S>(const Tiles<S>& tiles) {
        for (std::size_t c = 0; c < columns.size(); ++c)
          for (Index i = 0; i < rows_; ++i) {
            double& entry = out(i, static_cast<Index>(c));
            kernels_for<S>().to_double(tiles.at(columns[c] / tile_cols, i) + columns[c] % tile_cols, 1, &entry);
            if (!scales_.empty()) entry *= scales_[static_cast<std::size_t>(i)];
          }
      },
      tiles_);
}

std::optional<Gradients::Entry> Gradients::find_not_finite() const {
  return std::visit(
      [&]<class S>(const Tiles<S>& tiles) -> std::optional<Entry> {
        alignas(64) double entries[tile_cols];
        for (Index row = 0; row < rows_; ++row)
          for (Index t = 0; t < tiles.count(); ++t) {
            kernels_for<S>().to_double(tiles.at(t, row), tiles.width(t), entries);
            for (Index j = 0; j < tiles.width(t); ++j)
              if (!std::isfinite(entries[j])) return Entry{row, t * tile_cols + j, entries[j]};
          }
        return std::nullopt;
      },
      tiles_);
}

#define NEARLINEAR_INSTANTIATE(T)                                                                      \
  template Gradients::Gradients(MatrixView<const T>);                                                  \
  template Gradients::Size Gradients::check(std::span<const T>, const char*, const char*, Pass) const; \
  template void Gradients::set_row(Index, std::span<const T>, double, Pass);                           \
  template void Gradients::round(std::span<const T>, double, std::span<T>) const;                      \
  template void Gradients::round(std::span<const T>, double, std::span<T>, Pass) const;                \
  template void Gradients::get_row(Index, std::span<T>) const;
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::fisher

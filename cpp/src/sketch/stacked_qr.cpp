#include <algorithm>
#include <cmath>

#include "nearlinear/linalg/qr.hpp"
#include "sketch/passes.hpp"

namespace nearlinear::sketch {

// A fold takes in several times as many rows as the triangle has, so that factoring that anew costs little.
template <class T>
StackedQr<T>::StackedQr(Index width)
    : width_(width),
      capacity_(width + std::max<Index>(6 * width, (Index{1} << 18) / std::max<Index>(1, width))),
      rows_(checked_product(capacity_, width)),
      triangle_(checked_product(width, width)) {}

template <class T>
T* StackedQr<T>::next_rows(Index count, const RunOptions& run) {
  if (filled_ + count > capacity_) fold(run);
  T* const next = rows_.data() + filled_ * width_;
  filled_ += count;
  return next;
}

template <class T>
void StackedQr<T>::fold(const RunOptions& run) {
  if (filled_ < width_) {  // zeros below change nothing
    std::fill(rows_.data() + filled_ * width_, rows_.data() + width_ * width_, T{0});
    filled_ = width_;
  }
  qr<T>({rows_.data(), filled_, width_}, {triangle_.data(), width_, width_}, QrMethod::automatic, run);
  std::copy(triangle_.begin(), triangle_.end(), rows_.data());
  filled_ = width_;
}

template <class T>
MatrixView<const T> StackedQr<T>::finish(const RunOptions& run) {
  fold(run);
  return {triangle_.data(), width_, width_};
}

template <class T>
void split_triangle(MatrixView<const T> triangle, MatrixView<double> R, MatrixView<double> C,
                    std::span<double> squares) {
  const Index d = R.rows(), p = C.cols();
  for (Index i = 0; i < d; ++i) {
    std::copy_n(&triangle(i, 0), d, &R(i, 0));
    if (p > 0) std::copy_n(&triangle(i, 0) + d, p, &C(i, 0));
  }
  for (Index c = 0; c < p; ++c) {
    double square = 0;
    for (Index i = d; i <= d + c; ++i) square += std::pow(static_cast<double>(triangle(i, d + c)), 2);
    squares[static_cast<std::size_t>(c)] = square;
  }
}

template class StackedQr<float>;
template class StackedQr<double>;
template void split_triangle(MatrixView<const float>, MatrixView<double>, MatrixView<double>, std::span<double>);
template void split_triangle(MatrixView<const double>, MatrixView<double>, MatrixView<double>, std::span<double>);

}  // namespace nearlinear::sketch

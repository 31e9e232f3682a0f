/// Matrices for the tests of dense linear algebra, and the definitions that results are held against.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "nearlinear/core.hpp"

namespace nearlinear::test {

/// A matrix with gaps between its rows, which must stay as they are.
template <class T>
class Matrix {
 public:
  static constexpr T gap = T{-77};

  Matrix(Index rows, Index cols, Index gaps = 0)
      : rows_(rows), cols_(cols), stride_(cols + gaps), storage_(static_cast<std::size_t>(rows * stride_), gap) {}

  [[nodiscard]] MatrixView<T> view() { return {storage_.data(), rows_, cols_, stride_}; }
  [[nodiscard]] MatrixView<const T> view() const { return {storage_.data(), rows_, cols_, stride_}; }
  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  T& operator()(Index i, Index j) { return storage_[static_cast<std::size_t>(i * stride_ + j)]; }
  T operator()(Index i, Index j) const { return storage_[static_cast<std::size_t>(i * stride_ + j)]; }
  [[nodiscard]] const std::vector<T>& storage() const { return storage_; }

  [[nodiscard]] bool gaps_are_untouched() const {
    for (Index i = 0; i < rows_; ++i)
      for (Index j = cols_; j < stride_; ++j)
        if ((*this)(i, j) != gap) return false;
    return true;
  }

 private:
  Index rows_;
  Index cols_;
  Index stride_;
  std::vector<T> storage_;
};

template <class T>
Matrix<T> random_matrix(Index rows, Index cols, std::uint64_t seed, Index gaps = 0) {
  const RandomStream random(seed, 0);
  Matrix<T> matrix(rows, cols, gaps);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      matrix(i, j) = static_cast<T>(random.normal(static_cast<std::uint64_t>(i * cols + j)));
  return matrix;
}

/// gamma_k = k u / (1 - k u), u the unit round-off of T (Higham, Accuracy and Stability, lemma 3.1).
template <class T>
long double gamma(Index k) {
  const long double ku = static_cast<long double>(k) * std::numeric_limits<T>::epsilon() / 2;
  return ku / (1 - ku);
}

/// Whether |result - sum| <= gamma_k |terms| for the sum and the sum of absolute values of `terms` products.
template <class T>
class Sum {
 public:
  template <class A, class B>
  void add(A a, B b) {
    const long double product = static_cast<long double>(a) * static_cast<long double>(b);
    sum_ += product;
    absolute_ += std::abs(product);
    ++terms_;
  }
  [[nodiscard]] long double value() const { return sum_; }
  [[nodiscard]] bool is(T result, Index further_roundings = 0) const {
    return std::abs(static_cast<long double>(result) - sum_) <= gamma<T>(terms_ + further_roundings) * absolute_;
  }

 private:
  long double sum_ = 0;
  long double absolute_ = 0;
  Index terms_ = 0;
};

}  // namespace nearlinear::test

/// Matrices that Python gives by their products.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>

#include "arrays.hpp"
#include "nearlinear/linalg/operator.hpp"

/// A copy that Python may keep.
template <class T>
nb::object as_numpy_copy(nearlinear::MatrixView<const T> matrix) {
  nearlinear::Array<T> copy(matrix.rows() * matrix.cols());
  for (nearlinear::Index i = 0; i < matrix.rows(); ++i)
    std::copy_n(&matrix(i, 0), matrix.cols(), copy.data() + i * matrix.cols());
  auto owned = std::make_unique<nearlinear::Array<T>>(std::move(copy));
  T* const data = owned->data();
  nb::capsule owner(owned.get(), [](void* pointer) noexcept { delete static_cast<nearlinear::Array<T>*>(pointer); });
  owned.release();  // NOLINT(bugprone-unused-return-value): the capsule has it
  const auto rows = static_cast<std::size_t>(matrix.rows()), cols = static_cast<std::size_t>(matrix.cols());
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<2>>(data, {rows, cols}, owner));
}

/// Y <- function(X), of a Python function that returns a new matrix of the right shape and type (_operators.py).
template <class T>
void call_product(const nb::object& function, nearlinear::MatrixView<const T> X, nearlinear::MatrixView<T> Y) {
  const nb::gil_scoped_acquire gil;
  const auto product = nb::cast<MatrixArray<const T>>(function(as_numpy_copy(X)));
  const auto rows = view(product);
  for (nearlinear::Index i = 0; i < Y.rows(); ++i) std::copy_n(&rows(i, 0), Y.cols(), &Y(i, 0));
}

/// What _operators.py makes of a matrix: its shape and either the matrix or its products. Holds the references for as
/// long as the operator is used, so that no copy of them is made or dropped without the GIL.
class Operator {
 public:
  explicit Operator(const Tuple& parts)
      : rows_(nb::cast<nearlinear::Index>(parts[0])),
        cols_(nb::cast<nearlinear::Index>(parts[1])),
        matrix_(parts[2]),
        apply_(parts[3]),
        apply_transposed_(parts[4]) {}

  template <class T>
  [[nodiscard]] nearlinear::LinearOperator<T> get(const nearlinear::RunOptions& run) const {
    if (!matrix_.is_none()) return nearlinear::as_operator<T>(view(nb::cast<MatrixArray<const T>>(matrix_)), run);
    return {rows_, cols_, product<T>(apply_), product<T>(apply_transposed_)};
  }

 private:
  template <class T>
  static std::function<void(nearlinear::MatrixView<const T>, nearlinear::MatrixView<T>)> product(
      const nb::object& function) {
    if (function.is_none()) return {};
    return [&function](nearlinear::MatrixView<const T> X, nearlinear::MatrixView<T> Y) {
      call_product<T>(function, X, Y);
    };
  }

  nearlinear::Index rows_;
  nearlinear::Index cols_;
  nb::object matrix_;
  nb::object apply_;
  nb::object apply_transposed_;
};

#include "nearlinear/linalg/operator.hpp"

#include "nearlinear/linalg/products.hpp"

namespace nearlinear {
namespace {

/// One column without gaps between its entries.
template <class T>
bool is_vector(MatrixView<T> matrix) {
  return matrix.cols() == 1 && matrix.is_contiguous();
}

template <class T>
std::span<T> as_vector(MatrixView<T> matrix) {
  return {matrix.data(), static_cast<std::size_t>(matrix.rows())};
}

}  // namespace

template <class T>
LinearOperator<T> as_operator(MatrixView<const T> A, const RunOptions& run) {
  require_valid_view(A, "as_operator", "A");
  const auto apply = [A, run](MatrixView<const T> X, MatrixView<T> Y) {
    if (is_vector(X) && is_vector(Y) && X.rows() == A.cols() && Y.rows() == A.rows())
      return gemv_pair<T>(A, as_vector(X), as_vector(Y), {}, {}, run);
    gemm<T>(1, A, Transpose::no, X, Transpose::no, 0, Y, run);
  };
  const auto apply_transposed = [A, run](MatrixView<const T> X, MatrixView<T> Y) {
    if (is_vector(X) && is_vector(Y) && X.rows() == A.rows() && Y.rows() == A.cols())
      return gemv_pair<T>(A, {}, {}, as_vector(X), as_vector(Y), run);
    gemm<T>(1, A, Transpose::yes, X, Transpose::no, 0, Y, run);
  };
  return {A.rows(), A.cols(), apply, apply_transposed};
}

template LinearOperator<float> as_operator(MatrixView<const float>, const RunOptions&);
template LinearOperator<double> as_operator(MatrixView<const double>, const RunOptions&);

}  // namespace nearlinear

// Checks of arguments, and which passes they make.
#include "nearlinear/sketch/lstsq.hpp"

#include <algorithm>
#include <cmath>

#include "nearlinear/linalg/products.hpp"
#include "sketch/tall_lstsq.hpp"
#include "sparse/transpose.hpp"

namespace nearlinear {
namespace {

template <class T>
void require_shapes(Index rows, Index cols, MatrixView<const T> B, MatrixView<T> X) {
  require_valid_view(B, "lstsq", "B");
  require_valid_view(X, "lstsq", "X");
  require(B.rows() == rows && X.rows() == cols && X.cols() == B.cols(), "lstsq: A is ", Shape{rows, cols}, ", B is ",
          shape(B), " and X is ", shape(X), "; they must be n x d, n x p and d x p");
  require(rows > 0 && cols > 0, "lstsq: A is ", Shape{rows, cols}, "; it must have rows and columns");
}

void require_dense_factor(Index cols) {
  constexpr Index most = 32768;
  require(cols <= most, "lstsq: A has ", cols, " columns; its factor, which is dense, would take ",
          8 * cols / 1000 * cols / 1000000, " GB. lsqr takes no factor");
}

template <class T>
void require_tall(const LinearOperator<T>& A, const LstsqOptions& options) {
  require(A.rows >= A.cols && A.apply && A.apply_transposed, "lstsq: A is ", Shape{A.rows, A.cols},
          "; an operator must not have fewer rows than columns, and needs apply and apply_transposed");
  require(options.method == LstsqMethod::automatic || options.method == LstsqMethod::sketch_cg ||
              options.method == LstsqMethod::sketch_solve,
          "lstsq: the method needs rows of A, which an operator does not have; take sketch_cg or sketch_solve");
}

template <class T>
void multiply_by_power(MatrixView<T> X, int exponent) {
  for (Index i = 0; i < X.rows(); ++i)
    for (T& entry : X.row(i)) entry = std::ldexp(entry, exponent);
}

template <class T>
void multiply_by_power(Array<T>& entries, int exponent) {
  for (T& entry : entries) entry = std::ldexp(entry, exponent);
}

/// solve(scale, is_scaled, options) for A and B as they are or, where their squares leave the range of numbers, for
/// 2^a A and 2^b B: with x' = 2^(b - a) x and lambda' = 2^(2 a) lambda.
template <class T, class Solve>
LstsqResult<T> solve_at_scale(MatrixView<T> X, const LstsqOptions& options, const Solve& solve) {
  sketch::OutOfScale scale;
  try {
    return solve(scale, false, options);
  } catch (const sketch::OutOfScale& wanted) {
    scale = wanted;
  }
  LstsqOptions scaled = options;
  scaled.ridge = std::ldexp(options.ridge, 2 * scale.a);
  multiply_by_power(X, scale.b - scale.a);  // the guess
  LstsqResult<T> result = solve(scale, true, scaled);
  multiply_by_power(X, scale.a - scale.b);
  multiply_by_power(result.residual_norm, -scale.b);
  multiply_by_power(result.factor, -scale.a);
  multiply_by_power(result.sketch.x, scale.a - scale.b);
  multiply_by_power(result.sketch.coefficient_error, scale.a - scale.b);
  multiply_by_power(result.sketch.residual_norm, -scale.b);
  multiply_by_power(result.sketch.linf_bound, scale.a - scale.b);
  return result;
}

template <class T>
Array<T> scaled_copy(MatrixView<const T> matrix, int exponent) {
  Array<T> copy(checked_product(matrix.rows(), matrix.cols()));
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j) copy[i * matrix.cols() + j] = std::ldexp(matrix(i, j), exponent);
  return copy;
}

/// Products with a matrix times 2^exponent.
template <class T, class Product>
auto scaled_product(const Product& product, int exponent) {
  return [&product, exponent](MatrixView<const T> X, MatrixView<T> Y) {
    product(X, Y);
    if (exponent != 0) multiply_by_power(Y, exponent);
  };
}

}  // namespace

template <class T>
LstsqResult<T> weighted_lstsq(MatrixView<const T> A, Transpose op_A, MatrixView<const T> B, MatrixView<T> X,
                              std::span<const T> root_weights, const LstsqOptions& options, const RunOptions& run) {
  require_valid_view(A, "lstsq", "A");
  const bool is_transposed = op_A == Transpose::yes;
  const Index n = is_transposed ? A.cols() : A.rows(), d = is_transposed ? A.rows() : A.cols();
  require_shapes(n, d, B, X);
  sketch::require_valid(options, n < d ? 0 : d);
  require(root_weights.empty() || std::ssize(root_weights) == n, "lstsq: A has ", n, " rows and there are ",
          std::ssize(root_weights), " weights");
  if (n >= d)
    return solve_at_scale(X, options, [&](sketch::OutOfScale scale, bool is_scaled, const LstsqOptions& now) {
      auto rows = is_transposed ? sketch::DenseRows<T>::transposed(A, B, root_weights)
                                : sketch::DenseRows<T>(A, B, root_weights);
      rows.rescale(scale.a, scale.b);
      return sketch::tall_lstsq(*sketch::passes_of<T>(static_cast<const sketch::RowSource<T>&>(rows)), is_scaled, X,
                                now, run);
    });
  require(root_weights.empty(), "lstsq: A is ", Shape{n, d}, "; weights need at least as many rows as columns");
  return solve_at_scale(X, options, [&](sketch::OutOfScale scale, bool is_scaled, const LstsqOptions& now) {
    const MatrixView<const T> nothing(B.data(), d, 0);
    auto rows = is_transposed ? sketch::DenseRows<T>(A, nothing) : sketch::DenseRows<T>::transposed(A, nothing);
    rows.rescale(scale.a, scale.b);
    const Array<T> copy = scaled_copy(B, scale.b);
    const T factor = std::ldexp(T{1}, scale.a);
    const Transpose backward = is_transposed ? Transpose::no : Transpose::yes;
    const sketch::TransposedProducts<T> products{
        [&](MatrixView<const T> Y, MatrixView<T> Z) { gemm<T>(factor, A, backward, Y, Transpose::no, 0, Z, run); },
        [&](MatrixView<const T> Z, MatrixView<T> Y) { gemm<T>(factor, A, op_A, Z, Transpose::no, 0, Y, run); }};
    return sketch::wide_lstsq(*sketch::passes_of<T>(static_cast<const sketch::RowSource<T>&>(rows)), is_scaled,
                              products, MatrixView<const T>(copy.data(), n, B.cols()), X, now, run);
  });
}

template <class T>
LstsqResult<T> lstsq(MatrixView<const T> A, MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options,
                     const RunOptions& run) {
  return weighted_lstsq<T>(A, Transpose::no, B, X, {}, options, run);
}

template <class T, class I>
LstsqResult<T> lstsq(const CsrView<T, I>& A, MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options,
                     const RunOptions& run) {
  (void)require_valid_csr(A, "lstsq", "A", run);
  require_shapes(A.rows, A.cols, B, X);
  require_dense_factor(std::min(A.rows, A.cols));
  sketch::require_valid(options, A.rows < A.cols ? 0 : A.cols);
  const auto multiply = [](const CsrView<T, I>& matrix, MatrixView<const T> from, MatrixView<T> to) {
    for (Index i = 0; i < matrix.rows; ++i)
      for (Index c = 0; c < from.cols(); ++c) {
        double sum = 0;
        const auto at = static_cast<std::size_t>(i);
        for (I k = matrix.indptr[at]; k < matrix.indptr[at + 1]; ++k)
          sum += static_cast<double>(matrix.data[static_cast<std::size_t>(k)]) *
                 static_cast<double>(from(static_cast<Index>(matrix.indices[static_cast<std::size_t>(k)]), c));
        to(i, c) = static_cast<T>(sum);
      }
  };
  return solve_at_scale(X, options, [&](sketch::OutOfScale scale, bool is_scaled, const LstsqOptions& now) {
    const Array<T> data = is_scaled ? scaled_copy(MatrixView<const T>(A.data.data(), 1, A.nnz()), scale.a) : Array<T>();
    const Array<T> copy = is_scaled ? scaled_copy(B, scale.b) : Array<T>();
    CsrView<T, I> matrix = A;
    if (is_scaled) matrix.data = data.span();
    const MatrixView<const T> rhs = is_scaled ? MatrixView<const T>(copy.data(), B.rows(), B.cols()) : B;
    if (A.rows >= A.cols) {
      const sketch::CsrRows<T, I> rows(matrix, rhs);
      return sketch::tall_lstsq(*sketch::passes_of<T, I>(rows), is_scaled, X, now, run);
    }
    const auto transposed = sparse::transpose(matrix, run);
    const sketch::CsrRows<T, I> rows(transposed.matrix.view(), {rhs.data(), A.cols, 0});
    const sketch::TransposedProducts<T> products{
        [&](MatrixView<const T> Y, MatrixView<T> Z) { multiply(transposed.matrix.view(), Y, Z); },
        [&](MatrixView<const T> Z, MatrixView<T> Y) { multiply(matrix, Z, Y); }};
    return sketch::wide_lstsq(*sketch::passes_of<T, I>(rows), is_scaled, products, rhs, X, now, run);
  });
}

template <class T>
LstsqResult<T> lstsq(const LinearOperator<T>& A, MatrixView<const T> B, MatrixView<T> X, const LstsqOptions& options,
                     const RunOptions& run) {
  require_tall(A, options);
  require_shapes(A.rows, A.cols, B, X);
  require_dense_factor(A.cols);
  sketch::require_valid(options, A.cols);
  return solve_at_scale(X, options, [&](sketch::OutOfScale scale, bool is_scaled, const LstsqOptions& now) {
    const Array<T> copy = scaled_copy(B, scale.b);
    const LinearOperator<T> op{A.rows, A.cols, scaled_product<T>(A.apply, scale.a),
                               scaled_product<T>(A.apply_transposed, scale.a)};
    const MatrixView<const T> rhs(copy.data(), B.rows(), B.cols());
    return sketch::tall_lstsq(*sketch::passes_of<T>(op, rhs), is_scaled, X, now, run);
  });
}

template <class T>
LstsqResult<T> lstsq(const RowBlocks<T>& blocks, MatrixView<T> X, const LstsqOptions& options, const RunOptions& run) {
  require(blocks.next && blocks.cols >= 1 && blocks.rhs >= 1, "lstsq: blocks have ", blocks.cols, " columns and ",
          blocks.rhs, " right-hand sides; both must be at least 1, and next must be there");
  require_valid_view(X, "lstsq", "X");
  require(X.rows() == blocks.cols && X.cols() == blocks.rhs, "lstsq: blocks have ", blocks.cols, " columns and ",
          blocks.rhs, " right-hand sides, and X is ", shape(X));
  sketch::require_valid(options, blocks.cols);
  require(blocks.rewind || options.method == LstsqMethod::automatic || options.method == LstsqMethod::tsqr ||
              options.method == LstsqMethod::sketch_solve,
          "lstsq: the method reads A several times, but its rows can be read once only; take tsqr or sketch_solve");
  return solve_at_scale(X, options, [&](sketch::OutOfScale scale, bool is_scaled, const LstsqOptions& now) {
    return sketch::tall_lstsq(*sketch::passes_of<T>(blocks, scale), is_scaled, X, now, run);
  });
}

#define NEARLINEAR_INSTANTIATE_SPARSE(T, I)                                                                    \
  template LstsqResult<T> lstsq(const CsrView<T, I>&, MatrixView<const T>, MatrixView<T>, const LstsqOptions&, \
                                const RunOptions&);
#define NEARLINEAR_INSTANTIATE(T)                                                                                  \
  NEARLINEAR_INSTANTIATE_SPARSE(T, std::int32_t)                                                                   \
  NEARLINEAR_INSTANTIATE_SPARSE(T, std::int64_t)                                                                   \
  template LstsqResult<T> weighted_lstsq(MatrixView<const T>, Transpose, MatrixView<const T>, MatrixView<T>,       \
                                         std::span<const T>, const LstsqOptions&, const RunOptions&);              \
  template LstsqResult<T> lstsq(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, const LstsqOptions&,      \
                                const RunOptions&);                                                                \
  template LstsqResult<T> lstsq(const LinearOperator<T>&, MatrixView<const T>, MatrixView<T>, const LstsqOptions&, \
                                const RunOptions&);                                                                \
  template LstsqResult<T> lstsq(const RowBlocks<T>&, MatrixView<T>, const LstsqOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE
#undef NEARLINEAR_INSTANTIATE_SPARSE

}  // namespace nearlinear

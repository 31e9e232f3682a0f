/// What solvers read of a least-squares problem: each of these takes one pass over [A B], whatever holds it.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "nearlinear/sketch/lstsq.hpp"
#include "sketch/preconditioner.hpp"
#include "sketch/row_source.hpp"

namespace nearlinear::sketch {

/// The largest absolute values of entries of A and of B.
struct Magnitude {
  double a = 0;
  double b = 0;
};

/// Thrown when squares of entries leave the range of numbers: 2^a A and 2^b B are what to solve with.
struct OutOfScale {
  int a = 0;
  int b = 0;
};

/// Sums over the rows of [A B], which is n x (d + p). Small results are double whatever T is. All matrices are stored
/// without gaps.
template <class T>
class Passes {
 public:
  virtual ~Passes() = default;

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] Index rhs() const { return rhs_; }

  /// G <- A^T A, C <- A^T B, squares <- |b|^2.
  virtual void gram(MatrixView<double> G, MatrixView<double> C, std::span<double> squares, const RunOptions& run) = 0;

  /// SAB <- S [A B].
  virtual void sketch(const SketchSpec& spec, MatrixView<T> SAB, const RunOptions& run) = 0;

  /// G <- P^T A^T A P, C <- P^T A^T B.
  virtual void whitened_gram(const Preconditioner& P, MatrixView<double> G, MatrixView<double> C,
                             const RunOptions& run) = 0;

  /// G <- A^T (B - A X), squares <- |b - A x|^2.
  virtual void residual(MatrixView<const T> X, MatrixView<double> G, std::span<double> squares,
                        const RunOptions& run) = 0;

  /// Y <- A^T A Z.
  virtual void normal_product(MatrixView<const T> Z, MatrixView<double> Y, const RunOptions& run) = 0;

  /// A = Q R, C <- Q^T B, squares <- |B - A X|^2 of the solution where it is known, else NaN.
  virtual void qr(MatrixView<double> R, MatrixView<double> C, std::span<double> squares, const RunOptions& run) = 0;

  /// G <- the Gram matrix of `count` rows that are spread over A; false where rows cannot be had one by one.
  [[nodiscard]] virtual bool sample_gram(Index /*count*/, MatrixView<double> /*G*/, const RunOptions& /*run*/) {
    return false;
  }

  /// The largest entries. Throws std::invalid_argument if one of A or B is NaN or infinite.
  [[nodiscard]] virtual Magnitude magnitude(const RunOptions& run) = 0;

  [[nodiscard]] virtual bool is_repeatable() const { return true; }  ///< more than one pass can be had
  [[nodiscard]] virtual bool has_rows() const { return true; }       ///< gram, whitened_gram and qr can be had
  [[nodiscard]] virtual bool is_sparse() const { return false; }
  /// Entries that a pass reads.
  [[nodiscard]] virtual double entries() const { return static_cast<double>(rows_) * static_cast<double>(cols_); }

 protected:
  Passes(Index rows, Index cols, Index rhs) : rows_(rows), cols_(cols), rhs_(rhs) {}
  void set_rows(Index rows) { rows_ = rows; }

 private:
  Index rows_;
  Index cols_;
  Index rhs_;
};

template <class T>
std::unique_ptr<Passes<T>> passes_of(const RowSource<T>& rows);
template <class T, class I>
std::unique_ptr<Passes<T>> passes_of(const CsrRows<T, I>& rows);
template <class T>
std::unique_ptr<Passes<T>> passes_of(const LinearOperator<T>& A, MatrixView<const T> B);
template <class T>
std::unique_ptr<Passes<T>> passes_of(const RowBlocks<T>& blocks, OutOfScale scale);

/// The R of rows that come in blocks: those so far are folded into R as soon as there are enough.
template <class T>
class StackedQr {
 public:
  explicit StackedQr(Index width);

  /// Room for `count` rows, at most most_rows(), without gaps; they count from now on.
  [[nodiscard]] T* next_rows(Index count, const RunOptions& run);
  [[nodiscard]] Index most_rows() const { return capacity_ - width_; }

  /// R of all rows, width x width.
  [[nodiscard]] MatrixView<const T> finish(const RunOptions& run);

 private:
  void fold(const RunOptions& run);

  Index width_;
  Index capacity_;
  Index filled_ = 0;
  Array<T> rows_;
  Array<T> triangle_;
};

/// R and C of [A B]'s R, and the squares of what lies below.
template <class T>
void split_triangle(MatrixView<const T> triangle, MatrixView<double> R, MatrixView<double> C,
                    std::span<double> squares);

}  // namespace nearlinear::sketch

/// Block reflectors of the form in which every QR factorisation here is made: below a triangle R stands a full block X,
/// and reflections take (R; X) to (R'; 0). Their vectors are (e_j; v_j), so that what is stored of them is V, in the
/// place of X, and products with them are products with V, without a trapezoid to care for.
///
///     H_1 H_2 ... H_w = I - (I; V) T (I; V)^T,    T upper triangular
///
/// (Schreiber and Van Loan, 1989; LAPACK's tpqrt.) Matrices are stored by columns: a reflection works on columns.
#pragma once

#include <functional>

#include "linalg/product_kernels.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// A matrix by columns: entry (i, j) lies at data[i + j * stride].
template <class T>
struct Columns {
  T* data;
  Index stride;

  [[nodiscard]] T& operator()(Index i, Index j) const { return data[i + j * stride]; }
  [[nodiscard]] Columns at(Index i, Index j) const { return {data + i + j * stride, stride}; }
  [[nodiscard]] Operand<T> operand() const { return {data, 1, stride}; }
  [[nodiscard]] Operand<T> transposed() const { return {data, stride, 1}; }
};

/// Asked every few milliseconds by what may take long; does nothing, or polls a monitor.
using Pause = std::function<void()>;

/// V is rows x width, T is width x width with zeros below its diagonal.
template <class T>
struct Reflectors {
  Index rows;
  Index width;
  Columns<T> v;
  Columns<T> t;
};

/// Takes (R; X) to (R'; 0) for the upper triangle R of width x width, and makes V of X and T; halved until few columns
/// are left, so that most of the work is in products.
template <class T>
void factor(Columns<T> R, const Reflectors<T>& reflectors, const Pause& pause);

/// (C_top; C) <- H^T (C_top; C) or H (C_top; C) for the reflectors' H and `cols` columns. C_top has `width` rows, C has
/// `rows`.
template <class T>
void apply(const Reflectors<T>& reflectors, bool transposed, Index cols, Columns<T> C_top, Columns<T> C,
           const Pause& pause);

}  // namespace nearlinear::linalg

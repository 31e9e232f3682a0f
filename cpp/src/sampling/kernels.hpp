/// The hot loops of `sampling`, one table per instruction set: norms of rows, products with the transpose of a tall
/// matrix, and the elementwise steps of an interior point method.
#pragma once

#include "core/dispatch.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::sampling {

/// A d x n matrix that is stored by rows `stride` numbers apart: the columns of a tall one, or its rows from `begin`
/// on.
struct Columns {
  const double* data;
  Index cols;  ///< d
  Index stride;
};

/// Variables of the linear program min sum w |y| (see interior_point.cpp), of which there are n each: slacks w - v and
/// w + v of the dual solution, and y = plus - minus, plus, minus > 0.
struct InteriorPoint {
  double* above;  ///< w - v
  double* below;  ///< w + v
  double* plus;
  double* minus;
};

struct Kernels {
  /// to <- A in single precision, for rows that lie `row_stride` apart; rows_i <- factors_i rows_i.
  void (*narrow_rows)(Index rows, Index cols, const double* a, Index row_stride, float* to) noexcept;
  void (*scale_rows)(Index rows, Index cols, const double* factors, float* a) noexcept;

  /// values_i <- |a_i|^2 for rows without gaps.
  void (*squared_norms)(Index rows, Index cols, const double* a, double* values) noexcept;
  void (*rough_squared_norms)(Index rows, Index cols, const float* a, double* values) noexcept;

  /// y <- V^T x, z <- V y.
  void (*combine)(Index n, Columns v, const double* x, double* y) noexcept;
  void (*reduce)(Index n, Columns v, const double* y, double* z) noexcept;

  /// G <- V diag(h) V^T in the lower triangle of the d x d matrix G, which is stored by rows.
  void (*weighted_gram)(Index n, Columns v, const double* h, double* G) noexcept;

  /// theta <- 1 / (plus / above + minus / below), and shift <- theta times the sum of the residual plus - minus - y and
  /// of (c_+ / above - plus) - (c_- / below - minus), c_+- = target +- dv dz_+- for the steps dv, dz_+-, or 0 without.
  void (*scale)(Index n, const InteriorPoint& point, const double* y, const double* dv, const double* dplus,
                const double* dminus, double target, double* theta, double* shift) noexcept;

  /// The steps dv <- theta dy - shift, dplus, dminus that belong to dy. dv, dplus, dminus of the step before are read
  /// for the target if `is_corrector`. Returns the longest steps, up to 1 / share, that keep slacks and y positive.
  void (*directions)(Index n, const InteriorPoint& point, const double* dy, const double* theta, const double* shift,
                     bool is_corrector, double target, double* dv, double* dplus, double* dminus,
                     double* longest) noexcept;

  /// sum of above plus + below minus after the steps.
  double (*gap_after)(Index n, const InteriorPoint& point, const double* dv, const double* dplus, const double* dminus,
                      double step_v, double step_y) noexcept;

  /// Takes the steps.
  void (*move)(Index n, const InteriorPoint& point, const double* dv, const double* dplus, const double* dminus,
               double step_v, double step_y) noexcept;
};

NEARLINEAR_DECLARE_KERNELS(sampling)

}  // namespace nearlinear::sampling

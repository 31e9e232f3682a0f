/// The hot loops of `completion`, one table per instruction set: least squares problems of the lines of one side, with
/// the factor of the other side held fixed.
///
/// The rows of a factor are `stride` numbers apart, a multiple of 8, and begin at lines of the cache; behind the
/// unknowns they hold zeros. The last unknown of a factor with biases is the line's bias. For a line with the entries
/// x_t, at lines a_t of the other side, with factor rows v_t and biases c_t there, the problem is
///
///     min_u |P u - y|^2 + sum_q ridge_q u_q^2,    P_t = w_t^{1/2} [v_t, 1],    y_t = w_t^{1/2} (x_t - c_t),
///
/// and without biases P_t = w_t^{1/2} v_t, y_t = w_t^{1/2} x_t.
#pragma once

#include <cstdint>

#include "core/dispatch.hpp"
#include "nearlinear/core/views.hpp"

namespace nearlinear::completion {

/// Lines first, ..., first + count - 1 of a side.
struct Lines {
  const Index* begin;  ///< of the line `first`
  Index count;
  const std::int32_t* at;
  const double* value;
  const double* root_weight;  ///< null: all weights are 1
};

/// A factor of the other side.
struct Factor {
  const double* data;
  Index stride;
  Index unknowns;
  bool has_bias;
};

struct Kernels {
  /// For every line, gram <- P^T P, of which the lower triangle counts, with rows `stride` apart and `stride` of them
  /// for each line, rhs <- P^T y, `stride` numbers for each, and squares <- |y|^2. `panel` holds panel_size numbers.
  void (*normal_equations)(const Lines& lines, const Factor& other, double* gram, double* rhs, double* squares,
                           double* panel) noexcept;

  /// `steps` of conjugate gradients from x, `stride` numbers for each line, with the diagonal as preconditioner.
  /// squares <- |P x - y|^2 where it ends. units: for every column of the other factor, its largest absolute value.
  /// common: the lower and upper triangle of a matrix that is added to all P^T P, or null. `panel` holds
  /// gradients_size() numbers for the longest line.
  void (*conjugate_gradients)(const Lines& lines, const Factor& other, const double* units, const double* ridge,
                              const double* common, Index steps, double* x, double* squares, double* panel) noexcept;

  /// The same with the triangular factor R of a random sketch of [P; ridge^{1/2}] in place of the diagonal, until the
  /// preconditioned residual |R^{-T} r| is `tol` times the first one. Draws are those of `seed` and of the line, of
  /// which the first is number `first`. `panel` holds sketched_size() numbers.
  void (*sketched)(const Lines& lines, const Factor& other, const double* ridge, double tol, std::uint64_t seed,
                   Index first, double* x, double* squares, double* panel) noexcept;

  /// squares <- |P x - y|^2, gradient <- P^T (P x - y) and errors_e <- w r for every entry, unless they are null.
  void (*residuals)(const Lines& lines, const Factor& other, const double* x, double* squares, double* gradient,
                    double* errors, double* panel) noexcept;

  /// z <- sum_t w_t a_t (a_t^T p + d_t^T o), for p and o of the line, a_t and d_t of the entry, rows of `stride`
  /// numbers, of which those of the other side lie in turn: [a_t, d_t]. p or o may be null. Unless `errors` is null,
  /// also z_q += sum_t errors_t d_tq for q < rank.
  void (*coupling)(const Lines& lines, Index stride, Index rank, const double* pairs, const double* p, const double* o,
                   const double* errors, double* z, double* panel) noexcept;

  /// y_i <- sum_t x_t a_t for the rows a_t of `other`, of which all `stride` numbers count; weights do not.
  void (*weighted_sums)(const Lines& lines, Index stride, const double* other, double* y) noexcept;

  /// y_i <- A_i x_i for symmetric matrices with rows `stride` apart, `unknowns` rows for each.
  void (*apply_each)(Index count, Index unknowns, Index stride, const double* matrices, const double* x,
                     double* y) noexcept;
};

/// Numbers of the panel that normal_equations(), residuals() and coupling() work in.
[[nodiscard]] constexpr Index panel_rows(Index stride) { return stride < 96 ? 3072 / stride / 8 * 8 : 32; }
[[nodiscard]] constexpr Index panel_size(Index stride) { return panel_rows(stride) * (2 * stride + 1) + stride + 8; }

/// Numbers that conjugate_gradients() needs for lines of up to `longest` entries: of registers of up to register_rows
/// numbers of single precision.
constexpr Index register_rows = 16;
[[nodiscard]] constexpr Index gradients_size(Index longest, Index stride) {
  const Index rows = (longest + register_rows - 1) / register_rows * register_rows;
  return rows * (stride / 2 + 2) + (2 * register_rows + 9) * stride;
}

/// Rows of a sketch: four times what is sketched has as columns.
[[nodiscard]] constexpr Index sketch_rows(Index unknowns) { return 4 * unknowns; }
[[nodiscard]] constexpr Index sketched_size(Index longest, Index stride) {
  return ((longest + 7) / 8 * 8) * (stride + 2) + 6 * stride + 6 * stride * stride + 16;
}

NEARLINEAR_DECLARE_KERNELS(completion)

}  // namespace nearlinear::completion

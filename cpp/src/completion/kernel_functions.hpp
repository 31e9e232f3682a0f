/// The functions behind the room's table: for files that are compiled once per instruction set alone, all else calls
/// them by kernels().
#pragma once

#include "completion/kernels.hpp"

namespace nearlinear::completion {

void normal_equations(const Lines& lines, const Factor& other, double* gram, double* rhs, double* squares,
                      double* panel) noexcept;
void conjugate_gradients(const Lines& lines, const Factor& other, const double* units, const double* ridge,
                         const double* common, Index steps, double* x, double* squares, double* panel) noexcept;
void sketched(const Lines& lines, const Factor& other, const double* ridge, double tol, std::uint64_t seed, Index first,
              double* x, double* squares, double* panel) noexcept;
void residuals(const Lines& lines, const Factor& other, const double* x, double* squares, double* gradient,
               double* errors, double* panel) noexcept;
void coupling(const Lines& lines, Index stride, Index rank, const double* pairs, const double* p, const double* o,
              const double* errors, double* z, double* panel) noexcept;
void weighted_sums(const Lines& lines, Index stride, const double* other, double* y) noexcept;
void apply_each(Index count, Index unknowns, Index stride, const double* matrices, const double* x, double* y) noexcept;

}  // namespace nearlinear::completion

// With V(U) the solution of its least squares problems, f(U) = F(U, V(U)) has the gradient dF/dU and the Hessian
//
//     A_U - B A_V^{-1} B^T,
//
// where A_U and A_V have the normal matrices of lines, with their ridge, as diagonal blocks, and B couples row i and
// column j by w_ij (v_j u_i^T + r_ij I) (Golub and Pereyra 1973). Without residuals that is Gauss and Newton's matrix,
// which is never indefinite: steps begin with it, and go on with the whole one where residuals are what is left.
// Conjugate gradients need one pass over either side for each product, and A_U^{-1} as a preconditioner makes them
// short. V(U) is then solved for exactly, so that steps live in the space of U alone; damping is Levenberg's and
// Marquardt's.
#include "completion/variable_projection.hpp"

#include <algorithm>
#include <cmath>

#include "nearlinear/linalg/elementwise.hpp"

namespace nearlinear::completion {
namespace {

double inner(const Array<double>& x, const Array<double>& y) { return dot<double>(x.span(), y.span()); }

/// Rows of a factor as residuals see them: with 1 in place of the bias.
void copy_rows(const PaddedFactor& factor, double* to, Index step) {
  for (Index i = 0; i < factor.lines; ++i) {
    std::copy_n(factor.row(i), factor.stride, to + i * step);
    if (factor.has_bias) to[i * step + factor.rank] = 1;
  }
}

}  // namespace

VariableProjection::VariableProjection(HalfSweeps& sweeps, const PaddedFactor& U, const PaddedFactor& V)
    : sweeps_(sweeps),
      inverse_U_(checked_product(U.size(), U.unknowns)),
      inverse_V_(checked_product(V.size(), V.unknowns)),
      damping_(U.lines),
      gradient_(Array<double>::zeros(U.size())),
      direction_(U.size()),
      residual_(U.size()),
      z_(Array<double>::zeros(U.size())),
      p_(U.size()),
      q_(U.size()),
      pairs_U_(2 * U.size()),
      pairs_V_(2 * V.size()),
      own_U_(U.size()),
      own_V_(V.size()),
      at_V_(V.size()),
      solved_V_(V.size()),
      errors_rows_(sweeps.observed().nnz()),
      errors_cols_(sweeps.observed().nnz()),
      saved_U_(U.lines, U.rank, U.has_bias),
      saved_V_(V.lines, V.rank, V.has_bias) {}

double VariableProjection::memory(const PaddedFactor& U, const PaddedFactor& V) {
  return 8.0 * static_cast<double>(U.size() + V.size()) * static_cast<double>(U.unknowns + 8);
}

ProjectionStep VariableProjection::begin(PaddedFactor& U, PaddedFactor& V, const Ridge& ridge) {
  sweeps_.update_with_inverses(sweeps_.observed().cols, U, V, ridge, inverse_V_.data());
  square_sum_ = sweeps_.residuals(sweeps_.observed().rows, V, U, gradient_.data(), errors_rows_.data());
  objective_ = sweeps_.objective(square_sum_, U, V, ridge);
  return {square_sum_, objective_, 0, true};
}

void VariableProjection::precondition(const double* r, double* z) {
  sweeps_.for_blocks(sweeps_.observed().rows, static_cast<double>(saved_U_.unknowns),
                     [&](Index, Index first, Index count, int) {
                       const Index stride = saved_U_.stride, unknowns = saved_U_.unknowns;
                       kernels().apply_each(count, unknowns, stride, inverse_U_.data() + first * unknowns * stride,
                                            r + first * stride, z + first * stride);
                     });
}

bool VariableProjection::wants_newton() const {
  constexpr double little = 0.5;
  return fall_ < little;
}

Index VariableProjection::solve(const PaddedFactor& U, const PaddedFactor& V, const Ridge& ridge, bool is_newton) {
  constexpr Index most_iterations = 50;
  const Side &rows = sweeps_.observed().rows, &cols = sweeps_.observed().cols;
  const Index stride = U.stride, unknowns = U.unknowns;
  copy_rows(V, pairs_V_.data(), 2 * stride);
  copy_rows(U, pairs_U_.data(), 2 * stride);
  copy_rows(U, own_U_.data(), stride);
  copy_rows(V, own_V_.data(), stride);
  for (double& value : own_U_) value = -value;
  if (is_newton) {
    sweeps_.residuals(cols, U, V, nullptr, errors_cols_.data());
    for (double& error : errors_rows_) error = -error;
  }
  const auto ridge_of = [&](Index k) { return k < U.rank ? ridge.factors : k < unknowns ? ridge.biases : 0.0; };
  for (Index i = 0; i < U.lines; ++i)
    for (Index k = 0; k < stride; ++k) {
      const Index at = i * stride + k;
      direction_[at] = 0;
      residual_[at] = k < unknowns ? -gradient_[at] - ridge_of(k) * U.row(i)[k] : 0;
    }
  const double gradient_norm = std::sqrt(inner(residual_, residual_));
  if (first_gradient_ == 0) first_gradient_ = gradient_norm;
  const double goal = std::min(0.1, first_gradient_ > 0 ? gradient_norm / first_gradient_ : 0.1);
  precondition(residual_.data(), z_.data());
  std::copy_n(z_.data(), z_.size(), p_.data());
  double rho = inner(residual_, z_);
  const double first = rho;
  Index iteration = 0;
  while (iteration < most_iterations && rho > goal * goal * first) {
    sweeps_.for_blocks(rows, 1, [&](Index, Index begin, Index count, int) {
      for (Index i = begin; i < begin + count; ++i)
        std::copy_n(p_.data() + i * stride, stride, pairs_U_.data() + (2 * i + 1) * stride);
    });
    sweeps_.for_blocks(cols, static_cast<double>(6 * stride), [&](Index, Index begin, Index count, int worker) {
      kernels().coupling(lines_of(cols, begin, count), stride, U.rank, pairs_U_.data(), nullptr,
                         own_V_.data() + begin * stride, is_newton ? errors_cols_.data() : nullptr,
                         at_V_.data() + begin * stride, sweeps_.panel(worker, stride));
      kernels().apply_each(count, unknowns, stride, inverse_V_.data() + begin * unknowns * stride,
                           at_V_.data() + begin * stride, solved_V_.data() + begin * stride);
      for (Index j = begin; j < begin + count; ++j)
        std::copy_n(solved_V_.data() + j * stride, stride, pairs_V_.data() + (2 * j + 1) * stride);
    });
    sweeps_.for_blocks(rows, static_cast<double>(6 * stride), [&](Index, Index begin, Index count, int worker) {
      kernels().coupling(lines_of(rows, begin, count), stride, U.rank, pairs_V_.data(), p_.data() + begin * stride,
                         own_U_.data() + begin * stride, is_newton ? errors_rows_.data() : nullptr,
                         q_.data() + begin * stride, sweeps_.panel(worker, stride));
      for (Index i = begin; i < begin + count; ++i)
        for (Index k = 0; k < stride; ++k) {
          const Index at = i * stride + k;
          q_[at] = k < unknowns ? q_[at] + (ridge_of(k) + damping_[i]) * p_[at] : 0;
        }
    });
    const double curvature = inner(p_, q_);
    if (!(curvature > 0)) break;
    ++iteration;
    const double alpha = rho / curvature;
    for (Index t = 0; t < p_.size(); ++t) {
      direction_[t] += alpha * p_[t];
      residual_[t] -= alpha * q_[t];
    }
    precondition(residual_.data(), z_.data());
    const double next = inner(residual_, z_), beta = next / rho;
    rho = next;
    for (Index t = 0; t < p_.size(); ++t) p_[t] = z_[t] + beta * p_[t];
  }
  return iteration;
}

ProjectionStep VariableProjection::step(PaddedFactor& U, PaddedFactor& V, const Ridge& ridge) {
  constexpr double less = 0.2, more = 10, least = 1e-15, most = 1e6;
  sweeps_.inverses(sweeps_.observed().rows, V, ridge, damping, inverse_U_.data(), damping_.data());
  Index inner_iterations = wants_newton() ? solve(U, V, ridge, true) : 0;
  if (inner_iterations == 0) inner_iterations = solve(U, V, ridge, false);
  std::copy_n(U.data.data(), U.size(), saved_U_.data.data());
  std::copy_n(V.data.data(), V.size(), saved_V_.data.data());
  for (Index t = 0; t < U.size(); ++t) U.data[t] += direction_[t];
  const double before = objective_, squares_before = square_sum_;
  const ProjectionStep next = begin(U, V, ridge);
  if (next.objective < before) {
    fall_ = 1 - next.objective / before;
    damping = std::max(least, damping * less);
    return {next.square_sum, next.objective, inner_iterations, true};
  }
  std::swap(U.data, saved_U_.data);
  std::swap(V.data, saved_V_.data);
  begin(U, V, ridge);
  objective_ = before;
  square_sum_ = squares_before;
  damping = std::min(most, damping * more);
  return {squares_before, before, inner_iterations, false};
}

}  // namespace nearlinear::completion

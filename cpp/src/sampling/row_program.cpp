#include "sampling/row_program.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/tables.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "sampling/vectors.hpp"

namespace nearlinear::sampling {
namespace {

std::span<double> piece(Scratch& scratch, std::size_t which, Index size) {
  return {scratch.room(which, size), static_cast<std::size_t>(size)};
}

}  // namespace

void weighted_gram(MatrixView<const double> V, const double* h, const sketch::Square& G, Scratch& scratch) {
  const Index d = V.rows(), n = V.cols();
  constexpr Index small = 48;  // up to which the kernel of this room is faster than that of all
  if (d <= small) return kernels().weighted_gram(n, columns(V), h, G.entries.data());
  std::fill_n(G.entries.data(), d * d, 0.0);
  constexpr Index block = 256;
  double* const tile = scratch.room(15, d * block);
  for (Index begin = 0; begin < n; begin += block) {
    const Index size = std::min(block, n - begin);
    for (Index k = 0; k < d; ++k)
      for (Index i = 0; i < size; ++i) tile[k * block + i] = std::sqrt(h[begin + i]) * V(k, begin + i);
    linalg::syrk_kernel<double>()(d, size, 1.0, {tile, block, 1}, G.entries.data(), d);
  }
}

bool factor_definite(const sketch::Square& A) {
  const Index d = A.size;
  const Array<double> copy(d * d);
  std::copy(A.entries.begin(), A.entries.end(), copy.begin());
  // Shifts in proportion to the diagonal: matrices may be graded, and small rows count as much as others.
  for (double shift = 0; shift < 1e-4; shift = shift == 0 ? 1e-15 : 100 * shift) {
    std::copy(copy.begin(), copy.end(), A.entries.begin());
    for (Index j = 0; j < d; ++j) A(j, j) *= 1 + shift;
    if (cholesky(A.view(), {.n_threads = 1}) == 0) return true;
  }
  return false;
}

void solve_definite(const sketch::Square& L, double* x) {
  const Index d = L.size;
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < i; ++j) x[i] -= L(i, j) * x[j];
    x[i] /= L(i, i);
  }
  for (Index i = d; i-- > 0;) {
    x[i] /= L(i, i);
    for (Index j = 0; j < i; ++j) x[j] -= L(i, j) * x[i];
  }
}

RowProgram::RowProgram(MatrixView<const double> V, std::span<const double> weights, LossFunction loss)
    : V_(V), weights_(weights), loss_(loss), metric_(V.rows()), lengths_(Array<double>::zeros(V.cols())) {
  Scratch scratch;
  weighted_gram(V_, weights_.data(), metric_, scratch);
  (void)factor_definite(metric_);
  for (Index k = 0; k < V.rows(); ++k)
    for (Index j = 0; j < V.cols(); ++j) lengths_[j] += V(k, j) * V(k, j);
  for (double& length : lengths_) length = std::sqrt(length);
}

double RowProgram::value(std::span<const double> x, Scratch& scratch) const {
  const auto y = piece(scratch, 0, rows()), g = piece(scratch, 1, rows());
  kernels().combine(rows(), columns(V_), x.data(), y.data());
  return loss_.gradient(weights_, y, g);
}

ProgramResult RowProgram::solve(std::span<const double> c, double t, std::span<double> x, const ProgramOptions& options,
                                Scratch& scratch) const {
  // x, or the least-squares solution, moved to c^T x = t in the metric of V.
  const auto toward = piece(scratch, 14, cols());
  std::copy(c.begin(), c.end(), toward.begin());
  solve_definite(metric_, toward.data());
  const double length = dot(c, toward);
  if (!options.has_guess) std::fill(x.begin(), x.end(), 0.0);
  const double missing = t - dot(c, x);
  for (std::size_t k = 0; k < x.size() && length > 0; ++k) x[k] += missing / length * toward[k];
  if (loss_.loss() == RowLoss::lp && loss_.p() == 1) return solve_by_fixed_signs(c, t, x, options, scratch);
  return solve_by_newton(c, t, x, options, scratch);
}

}  // namespace nearlinear::sampling

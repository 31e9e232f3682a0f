// Scaling, divide and conquer, and one-sided Jacobi rotations where that is not accurate.
#include "linalg/small_svd.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/decomposition_kernels.hpp"

namespace nearlinear::linalg {
namespace {

/// A <- U diag(s) with V: rotations until no pair of columns needs one. False after too many sweeps.
bool jacobi(Index n, double* a, double* s, double* v, Progress& progress, double begin, double end) {
  constexpr int most_sweeps = 60;  // convergence is quadratic in the end: ten sweeps are many
  const DecompositionKernels& kernels = nearlinear_decompositions_base;
  std::fill_n(v, n * n, 0.0);
  for (Index i = 0; i < n; ++i) v[i * n + i] = 1;
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    const double length = (end - begin) / most_sweeps, now = begin + sweep * length;
    Monitor monitor(progress.part(now, now + length).keep_going);
    Index rotated = 0;
    for (Index i = 0; i < n; ++i) {
      monitor.poll(static_cast<double>(i) / static_cast<double>(n));
      rotated += kernels.jacobi_row(n, i, a, v);
    }
    if (rotated > 0) continue;
    kernels.jacobi_finish(n, a, s, v);
    return true;
  }
  return false;
}

}  // namespace

bool small_svd(Index n, double* a, double* u, double* s, double* v, SvdMethod method, Progress& progress, double begin,
               double end) {
  const DecompositionKernels& kernels = nearlinear_decompositions_base;
  (void)progress.part(begin, end);
  double largest = 0;
  for (Index i = 0; i < n * n; ++i) largest = std::max(largest, std::abs(a[i]));
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double half = std::ldexp(1.0, -exponent / 2), rest = std::ldexp(1.0, -exponent + exponent / 2);
  for (Index i = 0; i < n * n; ++i) a[i] = a[i] * half * rest;

  const bool wants_vectors = u != nullptr;
  bool done = false;
  if (method == SvdMethod::divide_and_conquer) {
    done = wants_vectors ? kernels.divide_and_conquer_svd(n, a, u, s, v) : kernels.singular_values(n, a, s);
    (void)progress.part(begin + (end - begin) / 2, end);
  }
  if (!done) {
    const Array<double> local(wants_vectors ? 0 : n * n);
    double* const rotations = wants_vectors ? v : local.data();
    if (!jacobi(n, a, s, rotations, progress, begin, end)) return false;
    if (wants_vectors) std::copy_n(a, n * n, u);
  }
  std::transform(s, s + n, s, [exponent](double value) { return std::ldexp(value, exponent); });
  return true;
}

}  // namespace nearlinear::linalg

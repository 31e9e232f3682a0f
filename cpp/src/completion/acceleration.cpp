// The least |f_new + sum_j a_j (f_j - f_new)|, f = G - U, over the sweeps before the newest: normal equations of a few
// unknowns, whose matrices are made of the products of all f.
#include "completion/acceleration.hpp"

#include <algorithm>
#include <cmath>

#include "core/arithmetic.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/batched.hpp"
#include "nearlinear/linalg/elementwise.hpp"

namespace nearlinear::completion {
namespace {

constexpr Index chunk = 1 << 13;  // numbers of each array that are in the cache at a time

void take(const Array<double>& from, Array<double>& to) {
  if (to.size() != from.size()) to = Array<double>(from.size());
  std::copy_n(from.data(), from.size(), to.data());
}

}  // namespace

void Acceleration::begin(const PaddedFactor& U) { take(U.data, before_); }

void Acceleration::restore(PaddedFactor& U) const { std::copy_n(before_.data(), U.size(), U.data.data()); }

void Acceleration::for_chunks(Index size, const std::function<void(Index, Index, Index)>& body) {
  const int threads =
      linalg::threads_at(linalg::reflection_rate, n_threads_, static_cast<double>(size), static_cast<double>(depth));
  parallel_for(ceil_divide(size, chunk), threads, monitor_,
               [&](Index c) { body(c, c * chunk, std::min(size, (c + 1) * chunk)); });
}

void Acceleration::remember(const PaddedFactor& U, const PaddedFactor& V) {
  const std::size_t at = taken_++ % depth;
  Sweep& sweep = sweeps_[at];
  if (sweep.change.size() != U.size()) {
    sweep.change = Array<double>(U.size());
    sweep.U = Array<double>(U.size());
  }
  const auto size = static_cast<Index>(count());
  const Array<double> parts(size * std::max<Index>(1, ceil_divide(U.size(), chunk)));
  for_chunks(U.size(), [&](Index c, Index begin, Index end) {
    std::copy(U.data.data() + begin, U.data.data() + end, sweep.U.data() + begin);
    for (Index t = begin; t < end; ++t) sweep.change[t] = U.data[t] - before_[t];
    const auto part = [&](const Sweep& of) {
      const auto from = static_cast<std::size_t>(begin), length = static_cast<std::size_t>(end - begin);
      return of.change.span().subspan(from, length);
    };
    for (Index j = 0; j < size; ++j) parts[c * size + j] = dot<double>(part(sweeps_[j]), part(sweep));
  });
  for (std::size_t j = 0; j < count(); ++j) {
    double sum = 0;
    for (Index c = 0; c < ceil_divide(U.size(), chunk); ++c) sum += parts[c * size + static_cast<Index>(j)];
    inner_[j][at] = inner_[at][j] = sum;
  }
  take(V.data, combines_V_ ? sweep.V : V_);
  is_extrapolated_ = false;
}

std::vector<double> Acceleration::weights() const {
  const std::size_t last = newest(), size = count() - 1;
  const auto other = [last](std::size_t p) { return p < last ? p : p + 1; };
  const auto of_differences = [&](std::size_t i, std::size_t j) {
    return inner_[i][j] - inner_[i][last] - inner_[last][j] + inner_[last][last];
  };
  constexpr double rounding = 1e-10;  // of the angles between differences, which come from squares
  std::vector<double> A(size * size), b(size), scale(size);
  for (std::size_t p = 0; p < size; ++p) {
    const double square = of_differences(other(p), other(p));
    scale[p] = square > 0 ? 1 / std::sqrt(square) : 0;
  }
  for (std::size_t p = 0; p < size; ++p) {
    for (std::size_t q = 0; q < size; ++q)
      A[p * size + q] = p == q ? 1 : scale[p] * scale[q] * of_differences(other(p), other(q));
    b[p] = scale[p] * (inner_[last][last] - inner_[other(p)][last]);
  }
  std::vector<double> result(count(), 0.0);
  result[last] = 1;
  const auto unknowns = static_cast<Index>(size);
  const BatchView<double> x(b.data(), 1, unknowns, 1);
  Index status = 0;
  if (cholesky_solve_batch<double>({A.data(), 1, unknowns, unknowns}, x, x, {&status, 1}, rounding) != 0) return result;
  for (std::size_t p = 0; p < size; ++p) {
    result[other(p)] = scale[p] * b[p];
    result[last] -= result[other(p)];
  }
  return result;
}

void Acceleration::combine(const std::vector<double>& weights, const Array<double> Sweep::* factor,
                           Array<double>& result) {
  for_chunks(result.size(), [&](Index, Index begin, Index end) {
    for (Index t = begin; t < end; ++t) result[t] *= weights[newest()];
    for (std::size_t j = 0; j < count(); ++j) {
      if (j == newest()) continue;
      const Array<double>& other = sweeps_[j].*factor;
      for (Index t = begin; t < end; ++t) result[t] += weights[j] * other[t];
    }
  });
}

void Acceleration::extrapolate(PaddedFactor& U, PaddedFactor& V) {
  if (count() < 2) return;
  const std::vector<double> found = weights();
  is_extrapolated_ = found[newest()] != 1;
  if (!is_extrapolated_) return;
  combine(found, &Sweep::U, U.data);
  if (combines_V_) combine(found, &Sweep::V, V.data);
}

void Acceleration::undo(PaddedFactor& U, PaddedFactor& V) {
  std::copy_n(sweeps_[newest()].U.data(), U.size(), U.data.data());
  std::copy_n((combines_V_ ? sweeps_[newest()].V : V_).data(), V.size(), V.data.data());
  forget();
}

void Acceleration::forget() {
  taken_ = 0;
  is_extrapolated_ = false;
}

}  // namespace nearlinear::completion

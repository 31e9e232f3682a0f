#include "sampling/rows_in_white.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/progress.hpp"
#include "nearlinear/core/random.hpp"
#include "nearlinear/sampling/sample.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sampling/vectors.hpp"

namespace nearlinear::sampling {
namespace {

constexpr Index few_per_column = 100;        // rows of the coreset that programs are solved for
constexpr Index most_rows = Index{1} << 15;  // that solutions are looked at with

}  // namespace

WhiteRows white_rows(Matrix& A, const char* function, const RunOptions& run) {
  linalg::Progress progress(run);
  const Whitening white = whiten(A, {}, function, progress.part(0, 0.7));
  WhiteRows V{white.rank, A.rows(), Array<double>(std::max<Index>(1, checked_product(white.rank, A.rows()))),
              Array<double>::zeros(A.rows())};
  A.whiten(white.P, {V.entries.data(), V.rank, V.rows}, progress.part(0.7, 1));
  for (Index k = 0; k < V.rank; ++k)
    for (Index i = 0; i < V.rows; ++i) V.leverage[i] += V.entries[k * V.rows + i] * V.entries[k * V.rows + i];
  return V;
}

Coreset coreset_of(const WhiteRows& V, std::span<const double> scores, Index m, bool keeps_zeros, std::uint64_t seed) {
  std::vector<Index> kept;
  Array<double> probabilities(V.rows);
  const bool takes_all = V.rows <= 2 * m;
  if (!takes_all) sampling_probabilities(scores, static_cast<double>(m), probabilities.span());
  const RandomStream random(seed, 0);
  for (Index i = 0; i < V.rows; ++i)
    if ((keeps_zeros || V.leverage[i] > 0) &&
        (takes_all || random.uniform(static_cast<std::uint64_t>(i)) < probabilities[i]))
      kept.push_back(i);
  const auto size = std::ssize(kept);
  Coreset coreset{Array<double>(V.rank * size), Array<double>(size), Array<Index>(V.rows), size};
  std::fill(coreset.places.begin(), coreset.places.end(), -1);
  for (Index j = 0; j < size; ++j) {
    const Index i = kept[static_cast<std::size_t>(j)];
    for (Index k = 0; k < V.rank; ++k) coreset.columns[k * size + j] = V.entries[k * V.rows + i];
    coreset.places[i] = j;
    coreset.weights[j] = takes_all ? 1 : 1 / probabilities[i];
  }
  return coreset;
}

SensitivityPrograms::SensitivityPrograms(const WhiteRows& V, LossFunction loss, bool is_exact, std::uint64_t seed,
                                         const RunOptions& run)
    : V_(V), loss_(loss), is_exact_(is_exact) {
  // Lewis weights of p = 1 for the others too: their losses grow like |t|.
  const double p = loss.loss() == RowLoss::lp ? loss.p() : 1;
  const auto matrix = matrix_of(TransposedView{V.view()}, "sensitivities");
  const Array<double> weights(V.rows);
  const LewisOptions lewis{.tol = 0.1, .maxiter = 30};
  (void)find_lewis_weights(*matrix, p, weights.span(), lewis, "sensitivities", run);
  if (loss.loss() != RowLoss::lp)  // what the loss is where residuals are small, and where all are 0
    for (Index i = 0; i < V.rows; ++i) weights[i] += V.leverage[i] + 1 / static_cast<double>(V.rows);
  const bool keeps_zeros = loss.loss() == RowLoss::logistic;  // which count there
  few_ = coreset_of(V, weights.span(), few_per_column * V.rank, keeps_zeros, seed);
  few_rows_ = std::make_unique<RowProgram>(few_.view(V.rank), few_.weights.span(), loss);
  if (V.rows <= 2 * few_per_column * V.rank) return;  // these are all of them
  many_ = is_exact ? coreset_of(V, weights.span(), V.rows, keeps_zeros, seed)
                   : coreset_of(V, weights.span(), most_rows, keeps_zeros, seed + 1);
  many_rows_ = std::make_unique<RowProgram>(many_.view(V.rank), many_.weights.span(), loss);
}

SensitivityPrograms::Outcome SensitivityPrograms::share(std::span<const double> c, Index own, double t,
                                                        std::span<double> x, bool has_guess, Scratch& scratch) const {
  constexpr double tol = 1e-9, coarse = 1e-4;
  const bool is_lp = loss_.loss() == RowLoss::lp;
  const auto place = [own](const Coreset& rows) { return own < 0 ? -1 : rows.places[own]; };
  const double fine = is_lp ? tol : 1e-7;
  const ProgramOptions first{.tol = many_rows_ ? coarse : fine, .has_guess = has_guess, .own = place(few_)};
  ProgramResult result = few_rows_->solve(c, t, x, first, scratch);
  if (many_rows_ && is_exact_) {
    result = many_rows_->solve(c, t, x, {.tol = fine, .has_guess = true, .own = place(many_)}, scratch);
  } else if (many_rows_) {
    result.value = many_rows_->value(x, scratch);
    result.bound = result.value;
  }
  const double numerator = loss_.value(dot(c, x));  // at what x gives, so that this is a lower bound in any case
  if (!(result.value > 0)) return {numerator > 0 ? 1.0 : 0.0, 0, true};
  constexpr double enough = 1e-6;
  return {std::min(1.0, numerator / result.value), result.gap(), !is_lp || result.gap() <= enough};
}

SensitivityPrograms::Outcome SensitivityPrograms::sensitivity(std::span<const double> c, Index own,
                                                              Scratch& scratch) const {
  const bool is_zero = std::all_of(c.begin(), c.end(), [](double entry) { return entry == 0; });
  if (is_zero && loss_.loss() != RowLoss::logistic) return {};
  const auto x = std::span<double>(scratch.room(24, V_.rank), static_cast<std::size_t>(V_.rank));
  if (loss_.loss() == RowLoss::lp || is_zero) return share(c, own, is_zero ? 0 : 1, x, false, scratch);

  // sup_t rho(t) / min: t by factors of 2 until nothing changes any more, then golden section about the best.
  // For small t, Huber's function is a square, so that nothing changes; for large t both losses grow like |t|.
  const bool is_huber = loss_.loss() == RowLoss::huber;
  Outcome best;
  const auto look = [&](double t, bool has_guess) {
    const Outcome found = share(c, own, t, x, has_guess, scratch);
    if (found.value > best.value) best = found;
    return found.value;
  };
  double best_t = 0;
  const auto walk = [&](double t, double factor, int most) {
    double last = 0;
    int alike = 0;
    for (int k = 0; k < most; ++k, t *= factor) {
      const double before = best.value, now = look(t, k > 0);
      if (best.value > before) best_t = t;
      constexpr double unchanged = 1e-6;
      constexpr int patience = 12;  // a factor of 4096, by which rows may be longer than others
      alike = std::abs(now - last) <= unchanged * last ? alike + 1 : 0;
      last = now;
      if (alike >= patience) return;
      for (double& entry : x) entry *= factor;
    }
  };
  constexpr int most = 40;
  walk(1, 2, most);
  walk(0.5, 0.5, most);
  if (!is_huber) {
    const double even = 1 / static_cast<double>(V_.rows);  // at x = 0
    if (best.value < even) best = {even, 0, true}, best_t = 0;
    walk(-1, 2, 5);
    walk(-0.5, 0.5, 10);
  }
  if (best_t == 0) return best;
  constexpr double golden = 0.6180339887498949;
  double low = std::log(0.5), high = std::log(2);
  double inner = high - golden * (high - low), outer = low + golden * (high - low);
  const double center = best_t;
  double at_inner = look(center * std::exp(inner), false), at_outer = look(center * std::exp(outer), false);
  constexpr int sections = 10;
  for (int k = 0; k < sections; ++k) {
    if (at_inner > at_outer) {
      high = outer, outer = inner, at_outer = at_inner;
      inner = high - golden * (high - low);
      at_inner = look(center * std::exp(inner), false);
    } else {
      low = inner, inner = outer, at_inner = at_outer;
      outer = low + golden * (high - low);
      at_outer = look(center * std::exp(outer), false);
    }
  }
  return best;
}

double SensitivityPrograms::nanoseconds() const {
  const auto d = static_cast<double>(V_.rank), few = static_cast<double>(few_.size),
             many = static_cast<double>(many_.size);
  constexpr double iterations = 12;
  return iterations * few * (0.1 * d * d + 20) + (is_exact_ ? iterations : 0.1) * many * (0.1 * d * d + 20);
}

}  // namespace nearlinear::sampling

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/elementwise.hpp"
#include "sampling/lewis_iteration.hpp"
#include "sampling/parallel.hpp"
#include "sampling/whitening.hpp"

namespace nearlinear {
namespace sampling {
namespace {

constexpr double unit = std::numeric_limits<double>::epsilon() / 2;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// The state of the iteration: logarithms of weights, -infinity for rows of zeros, and of the leverage scores tau of
/// the rows that they scale.
class LewisIteration {
 public:
  LewisIteration(Matrix& A, double p, double tol, const char* function, const RunOptions& run)
      : A_(&A),
        exponent_(0.5 - 1 / p),
        function_(function),
        progress_(run),
        log_weights_(A.rows()),
        log_scores_(A.rows()),
        roots_(A.rows()) {
    begin(tol);
  }

  [[nodiscard]] double certificate() const { return certificate_; }
  [[nodiscard]] bool has_factor() const { return has_factor_; }

  /// w <- w^{1 - a} tau^a, and what belongs to it. `done` and `next` tell the progress.
  void step(double a, double done, double next) {
    for (Index i = 0; i < log_weights_.size(); ++i)
      if (log_weights_[i] > -infinity) log_weights_[i] += a * (log_scores_[i] - log_weights_[i]);
    find_scores(done, next);
  }

  struct State {
    Array<double> log_weights, log_scores;
    double certificate = infinity;
  };
  void save(State& state) const {
    if (state.log_weights.size() == 0)
      state.log_weights = Array<double>(log_weights_.size()), state.log_scores = Array<double>(log_weights_.size());
    std::copy(log_weights_.begin(), log_weights_.end(), state.log_weights.begin());
    std::copy(log_scores_.begin(), log_scores_.end(), state.log_scores.begin());
    state.certificate = certificate_;
  }
  void restore(const State& state) {
    std::copy(state.log_weights.begin(), state.log_weights.end(), log_weights_.begin());
    std::copy(state.log_scores.begin(), state.log_scores.end(), log_scores_.begin());
    certificate_ = state.certificate;
    has_factor_ = true;
  }

 private:
  /// Weights that are all alike have the leverage scores of A. Where one Gram matrix of A is not accurate enough for
  /// tol, iterations go over coordinates in which its columns are orthonormal.
  void begin(double tol) {
    const Array<double> scores(log_weights_.size());
    const double accuracy = std::min(1e-3, 0.01 * tol);
    const Whitening white = whiten(*A_, {.accuracy = accuracy}, function_, progress_.part(0, 0.05));
    rank_ = white.rank;
    if (rank_ == 0) return std::fill(log_weights_.begin(), log_weights_.end(), -infinity);
    if (white.is_exact) {
      use_white_rows(white.P);
      A_->squared_norms(identity(), scores.span(), progress_.part(0.07, 0.1));
    } else {
      A_->squared_norms(white.P, scores.span(), progress_.part(0.05, 0.1));
    }
    const double even = std::log(static_cast<double>(rank_) / static_cast<double>(log_weights_.size()));
    for (Index i = 0; i < scores.size(); ++i) log_weights_[i] = scores[i] > 0 ? even : -infinity;
    nearlinear::log<double>(scores.span(), log_scores_.span(), progress_.part(0.1, 0.1));
    judge();
  }

  [[nodiscard]] sketch::Preconditioner identity() const {
    sketch::Square one(rank_);
    for (Index j = 0; j < rank_; ++j) one(j, j) = 1;
    return sketch::Preconditioner(std::move(one));
  }

  void use_white_rows(const sketch::Preconditioner& P) {
    const Index n = A_->rows();
    white_ = Array<double>(checked_product(rank_, n));
    A_->whiten(P, {white_.data(), rank_, n}, progress_.part(0.05, 0.07));
    own_ = matrix_of(TransposedView{{white_.data(), rank_, n}}, function_);
    A_ = own_.get();
  }

  /// tau_i = v_i |R^{-T} a_i|^2 with v_i = w_i^{1 - 2 / p} and R^T R = A^T V A.
  void find_scores(double done, double next) {
    const Index d = A_->cols();
    const double middle = 0.5 * (done + next);
    for (Index i = 0; i < roots_.size(); ++i) roots_[i] = exponent_ * log_weights_[i];
    for (Index i = 0; i < roots_.size(); ++i)
      if (log_weights_[i] == -infinity) roots_[i] = -infinity;
    nearlinear::exp<double>(roots_.span(), roots_.span(), progress_.part(done, done));
    sketch::Square G(d);
    A_->weighted_gram(roots_.span(), G.view(), progress_.part(done, middle));
    std::optional<sketch::Square> R = sketch::cholesky_factor(G, unit, progress_.part(middle, middle));
    has_factor_ = R.has_value();
    if (!has_factor_) {
      certificate_ = infinity;
      return;
    }
    const Array<double> scores(log_weights_.size());
    A_->squared_norms(sketch::Preconditioner(std::move(*R)), scores.span(), progress_.part(middle, next));
    for (Index i = 0; i < scores.size(); ++i) scores[i] *= roots_[i] * roots_[i];
    nearlinear::log<double>(scores.span(), log_scores_.span(), progress_.part(next, next));
    judge();
  }

  void judge() {
    double largest = 0;
    for (Index i = 0; i < log_weights_.size(); ++i)
      if (log_weights_[i] > -infinity)
        largest = std::max(largest, std::abs(std::expm1(log_scores_[i] - log_weights_[i])));
    certificate_ = largest;
  }

  Matrix* A_;
  double exponent_;
  const char* function_;
  linalg::Progress progress_;
  Index rank_ = 0;
  Array<double> white_;
  std::unique_ptr<Matrix> own_;
  Array<double> log_weights_, log_scores_, roots_;
  double certificate_ = 0;
  bool has_factor_ = true;
};

}  // namespace

std::vector<ExponentCycle> exponents_of(double p) {
  const double local = 2 * p / (p + 2), of_many_rows = p / 2;
  if (p < 2) return {{of_many_rows, 1}, {of_many_rows}};  // the last of which converges from everywhere
  return {{of_many_rows, 1}, {local}, {1}};
}

void require_valid_p(double p, const char* function) {
  require(p >= 1 && std::isfinite(p), function, ": p is ", p, "; it must be at least 1 and finite");
}

LewisResult find_lewis_weights(Matrix& A, double p, std::span<double> weights, const LewisOptions& options,
                               const char* function, const RunOptions& run) {
  if (p == 2) {
    const Whitening white = whiten(A, {}, function, run);
    if (white.rank == 0) return std::fill(weights.begin(), weights.end(), 0.0), LewisResult{};
    A.squared_norms(white.P, weights, run);
    return {};
  }
  constexpr double least_rough_tol = 1e-3;  // for which single precision is good enough
  if (options.tol >= least_rough_tol)
    if (const auto result = find_rough_lewis_weights(A, p, weights, options, run)) return *result;
  LewisIteration iteration(A, p, options.tol, function, run);
  LewisResult result;
  const std::vector<ExponentCycle> cycles = exponents_of(p);
  std::size_t which = 0, step = 0;  // of the cycle
  Index stalls = 0;
  double before = iteration.certificate();
  LewisIteration::State best;
  iteration.save(best);
  const auto done = [](Index k) { return 0.1 + 0.9 * (1 - std::pow(0.7, static_cast<double>(k))); };
  while (best.certificate > options.tol && result.iterations < options.maxiter) {
    iteration.step(cycles[which].at(step++), done(result.iterations), done(result.iterations + 1));
    ++result.iterations;
    if (iteration.certificate() < best.certificate) iteration.save(best);
    constexpr Index patience = 3;
    const bool is_last = which + 1 == cycles.size();
    const bool is_at_rounding = best.certificate < 1e3 * unit * static_cast<double>(A.cols());
    const bool is_whole = cycles[which].begins(step);
    const bool is_worse = is_whole && iteration.certificate() > before;
    if (is_whole) {
      stalls = iteration.certificate() < 0.9 * before ? 0 : stalls + 1;
      before = iteration.certificate();
    }
    if (!is_last && (!iteration.has_factor() || is_worse || stalls >= patience)) {
      iteration.restore(best);
      ++which;
      step = 0;
      stalls = 0;
      before = best.certificate;
    } else if (!iteration.has_factor() || (stalls >= patience && is_at_rounding)) {
      result.status = LewisStatus::stagnated;
      break;
    }
  }
  if (result.status == LewisStatus::converged && best.certificate > options.tol) result.status = LewisStatus::maxiter;
  if (best.certificate <= options.tol) result.status = LewisStatus::converged;
  result.certificate = best.certificate;
  nearlinear::exp<double>(best.log_weights.span(), weights, run);
  return result;
}

}  // namespace sampling

LewisResult lewis_weights(const StoredMatrix& A, double p, std::span<double> weights, const LewisOptions& options,
                          const RunOptions& run) {
  constexpr const char* name = "lewis_weights";
  const auto matrix = sampling::matrix_of(A, name);
  sampling::require_valid_p(p, name);
  require(std::ssize(weights) == matrix->rows(), name, ": weights has ", weights.size(), " entries and A has ",
          matrix->rows(), " rows");
  require(options.tol >= 0, name, ": tol is ", options.tol, "; it must not be negative");
  require(options.maxiter >= 0, name, ": maxiter is ", options.maxiter, "; it must not be negative");
  return sampling::find_lewis_weights(*matrix, p, weights, options, name, run);
}

double lewis_certificate(const StoredMatrix& A, double p, std::span<const double> weights, const RunOptions& run) {
  constexpr const char* name = "lewis_certificate";
  const auto matrix = sampling::matrix_of(A, name);
  const Index n = matrix->rows(), d = matrix->cols();
  sampling::require_valid_p(p, name);
  require(std::ssize(weights) == n, name, ": weights has ", weights.size(), " entries and A has ", n, " rows");
  matrix->require_finite(name, run);
  for (Index i = 0; i < n; ++i) {
    const double weight = weights[static_cast<std::size_t>(i)];
    require(weight >= 0 && std::isfinite(weight), name, ": weights has the entry ", weight, " at index ", i,
            "; weights must be finite and not negative");
  }
  const Array<double> scaled(checked_product(n, d)), scores(n), losses = Array<double>::zeros(n);
  linalg::Progress progress(run);
  constexpr Index block = 256;
  sampling::for_blocks(n, block, linalg::memory_rate, d, progress.part(0, 0.2),
                       [&](Index begin, Index end, sampling::Scratch& scratch) {
                         double* const roots = scratch.room(0, block);
                         double* const ones = scratch.room(1, block);
                         std::fill_n(ones, end - begin, 1.0);
                         for (Index i = begin; i < end; ++i) {
                           const double weight = weights[static_cast<std::size_t>(i)];
                           roots[i - begin] = weight > 0 ? std::pow(weight, 0.5 - 1 / p) : 0;
                         }
                         matrix->copy_rows(begin, end, ones, scaled.data() + begin * d);
                         for (Index i = begin; i < end; ++i) {
                           double* const row = scaled.data() + i * d;
                           const bool is_zero = std::all_of(row, row + d, [](double entry) { return entry == 0; });
                           if (!is_zero && roots[i - begin] == 0) losses[i] = 1;
                           if (is_zero) roots[i - begin] = 0;
                           for (Index j = 0; j < d; ++j) row[j] *= roots[i - begin];
                         }
                       });
  const bool loses_rows = std::any_of(losses.begin(), losses.end(), [](double loss) { return loss > 0; });
  if (n < d) {
    leverage_scores(MatrixView<const double>(scaled.data(), n, d), scores.span(), {}, progress.part(0.2, 1));
  } else {  // to more digits than leverage scores as such need
    const auto rows = sampling::matrix_of(MatrixView<const double>(scaled.data(), n, d), name);
    const sampling::Whitening white = sampling::whiten(*rows, {.accuracy = 1e-12}, name, progress.part(0.2, 0.7));
    rows->squared_norms(white.P, scores.span(), progress.part(0.7, 1));
  }
  if (loses_rows) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (Index i = 0; i < n; ++i) {
    const double weight = weights[static_cast<std::size_t>(i)];
    if (weight > 0 && scores[i] > 0) largest = std::max(largest, std::abs(scores[i] / weight - 1));
  }
  return largest;
}

}  // namespace nearlinear

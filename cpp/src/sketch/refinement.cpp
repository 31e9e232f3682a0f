#include "sketch/refinement.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "linalg/iterative_vectors.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/qr.hpp"

namespace nearlinear::sketch {
namespace {

constexpr Index largest_exact = 512;  // columns up to which backward errors are computed where a bound does not decide
constexpr Index largest_told = 256;   // columns up to which they are computed to be told

[[nodiscard]] double norm_of_column(MatrixView<const double> X, Index c) {
  return linalg::scaled_norm(X.rows(), [&](Index i) { return X(i, c); }).value();
}

[[nodiscard]] double dot_of_columns(MatrixView<const double> X, MatrixView<const double> Y, Index c) {
  double sum = 0;
  for (Index i = 0; i < X.rows(); ++i) sum += X(i, c) * Y(i, c);
  return sum;
}

}  // namespace

namespace {

/// |(R^T R + shift^2 I)^{-1/2} g|, by Cholesky where the shift is no matter of rounding in R^T R, else by QR.
double shifted_norm(const Factor& factor, double shift, std::span<const double> g, const RunOptions& run) {
  const Index d = factor.R.size;
  const Array<double> z(d);
  std::copy(g.begin(), g.end(), z.begin());
  const MatrixView<double> Z(z.data(), d, 1);
  double trace = 0;
  for (Index j = 0; j < d; ++j) trace += factor.gram(j, j);
  constexpr double digits = 1e-2;  // that are enough
  if (digits * shift * shift > static_cast<double>(d) * unit_roundoff<double> * trace) {
    const Square L(d);
    std::copy(factor.gram.entries.begin(), factor.gram.entries.end(), L.entries.begin());
    for (Index j = 0; j < d; ++j) L(j, j) += shift * shift;
    if (cholesky(L.view(), run) == 0) {
      triangular_solve<double>(Triangle::lower, Transpose::no, L.view(), Z, run);
      return norm_of_column(Z, 0);
    }
  }
  const Array<double> stack = Array<double>::zeros(2 * d * d);
  std::copy(factor.R.entries.begin(), factor.R.entries.end(), stack.data());
  for (Index j = 0; j < d; ++j) stack[(d + j) * d + j] = shift;
  const Square shifted(d);
  qr<double>({stack.data(), 2 * d, d}, shifted.view(), QrMethod::householder, run);
  for (Index j = 0; j < d; ++j)
    if (!(shifted(j, j) > 0)) return std::numeric_limits<double>::infinity();
  triangular_solve<double>(Triangle::upper, Transpose::yes, shifted.view(), Z, run);
  return norm_of_column(Z, 0);
}

}  // namespace

double backward_error(const Solution& solution, const Factor* factor, const RunOptions& run) {
  const double b = solution.rhs_norm, a = solution.frobenius_norm;
  if (solution.whitened_norm == 0) return 0;
  if (!(b > 0 && a > 0)) return std::numeric_limits<double>::infinity();
  // theta = |A|_F / |b|, in units of which |A|_F = |b| = 1.
  const double x = solution.solution_norm * (a / b), r = solution.residual_norm / b;
  const double root = std::sqrt(1 + x * x), omega = r / root * a;  // the square root of the shift
  double square = 0;
  for (const double entry : solution.gradient) square += (entry / a / b) * (entry / a / b);
  double norm = std::min(solution.whitened_norm, std::sqrt(square) * a * b / omega);
  if (factor != nullptr) norm = std::min(norm, shifted_norm(*factor, omega, solution.gradient, run));
  return norm / (b * root);
}

InnerSolver identity_solver() {
  return [](MatrixView<const double> V, std::span<const double>, MatrixView<double> Y, const RunOptions&) -> Index {
    for (Index i = 0; i < V.rows(); ++i) std::copy_n(&V(i, 0), V.cols(), &Y(i, 0));
    return 0;
  };
}

InnerSolver factor_solver(Square L) {
  const auto factor = std::make_shared<Square>(std::move(L));
  return [factor](MatrixView<const double> V, std::span<const double>, MatrixView<double> Y,
                  const RunOptions& run) -> Index {
    for (Index i = 0; i < V.rows(); ++i) std::copy_n(&V(i, 0), V.cols(), &Y(i, 0));
    cholesky_solve<double>(factor->view(), Y, run);
    return 0;
  };
}

namespace {

/// Conjugate gradients for several right-hand sides that share their passes.
template <class T>
class WhitenedGradients {
 public:
  WhitenedGradients(Passes<T>& passes, const Preconditioner& P, double ridge, Index rhs)
      : passes_(passes),
        P_(P),
        ridge_(ridge),
        p_(rhs),
        r_(P.rank() * rhs),
        direction_(r_.size()),
        q_(r_.size()),
        z_(P.cols() * rhs),
        az_(z_.size()),
        z_in_t_(z_.size()) {}

  Index solve(MatrixView<const double> V, std::span<const double> reduction, MatrixView<double> Y, Index& left,
              const RunOptions& run) {
    const Index k = P_.rank();
    std::vector<double> square(static_cast<std::size_t>(p_)), goal(square.size());
    std::vector<bool> runs(square.size());
    for (Index i = 0; i < k; ++i) {
      std::copy_n(&V(i, 0), p_, r_.data() + i * p_);
      std::copy_n(&V(i, 0), p_, direction_.data() + i * p_);
      std::fill_n(&Y(i, 0), p_, 0.0);
    }
    Index running = 0, iterations = 0;
    for (Index c = 0; c < p_; ++c) {
      const auto at = static_cast<std::size_t>(c);
      square[at] = dot_of_columns(view(r_), view(r_), c);
      goal[at] = square[at] * reduction[at] * reduction[at];
      runs[at] = square[at] > 0 && reduction[at] < 1;
      running += runs[at] ? 1 : 0;
    }
    while (running > 0 && left > 0) {
      --left;
      ++iterations;
      multiply(run);
      for (Index c = 0; c < p_; ++c) {
        const auto at = static_cast<std::size_t>(c);
        if (!runs[at]) continue;
        const double curvature = dot_of_columns(view(direction_), view(q_), c), alpha = square[at] / curvature;
        if (!(curvature > 0) || !std::isfinite(alpha)) {
          runs[at] = false;
          --running;
          continue;
        }
        double next = 0;
        for (Index i = 0; i < k; ++i) {
          Y(i, c) += alpha * direction_[i * p_ + c];
          double& entry = r_[i * p_ + c];
          entry -= alpha * q_[i * p_ + c];
          next += entry * entry;
        }
        const double beta = next / square[at];
        square[at] = next;
        if (next <= goal[at]) {
          runs[at] = false;
          --running;
          continue;
        }
        for (Index i = 0; i < k; ++i) direction_[i * p_ + c] = r_[i * p_ + c] + beta * direction_[i * p_ + c];
      }
    }
    return iterations;
  }

 private:
  [[nodiscard]] MatrixView<double> view(const Array<double>& matrix) const {
    return {matrix.data(), matrix.size() / p_, p_};
  }

  /// q <- P^T (A^T A + lambda I) P direction.
  void multiply(const RunOptions& run) {
    P_.apply(view(direction_), view(z_), run);
    std::transform(z_.begin(), z_.end(), z_in_t_.begin(), [](double entry) { return static_cast<T>(entry); });
    passes_.normal_product({z_in_t_.data(), P_.cols(), p_}, view(az_), run);
    if (ridge_ > 0)
      for (Index i = 0; i < z_.size(); ++i) az_[i] += ridge_ * z_[i];
    P_.apply_transposed(view(az_), view(q_), run);
  }

  Passes<T>& passes_;
  const Preconditioner& P_;
  double ridge_;
  Index p_;
  Array<double> r_, direction_, q_, z_, az_;
  Array<T> z_in_t_;
};

}  // namespace

template <class T>
InnerSolver conjugate_gradient_solver(Passes<T>& passes, const Preconditioner& P, double ridge,
                                      Index& iterations_left) {
  return [&passes, &P, ridge, &iterations_left](MatrixView<const double> V, std::span<const double> reduction,
                                                MatrixView<double> Y, const RunOptions& run) {
    return WhitenedGradients<T>(passes, P, ridge, V.cols()).solve(V, reduction, Y, iterations_left, run);
  };
}

namespace {

/// How a right-hand side fares.
struct Column {
  double bound = std::numeric_limits<double>::infinity();  // of the backward error with scaled columns
  double backward_error = 0;                               // of the solution that stands
  double whitened_norm = 0;
  double residual_norm = 0;
  int stalls = 0;
  bool is_done = false;
  bool is_accurate = false;
};

/// A is measured twice. What decides is the problem with columns of length 1: otherwise columns that are small beside
/// others would not count. What is told is the error relative to |A|_F.
template <class T>
class Refinement {
 public:
  Refinement(Passes<T>& passes, const Preconditioner& P, ProblemScale& scale, const RefinementOptions& options,
             MatrixView<T> X)
      : passes_(passes),
        P_(P),
        scale_(scale),
        options_(options),
        X_(X),
        d_(passes.cols()),
        p_(passes.rhs()),
        g_(d_ * p_),
        v_(P.rank() * p_),
        best_(d_ * p_),
        squares_(p_),
        reduction_(p_),
        gradient_(d_),
        scaled_gradient_(d_),
        columns_(static_cast<std::size_t>(p_)) {}

  /// Residuals of the solutions that stand. False when no right-hand side has anything left to do.
  bool look(Index round, const RunOptions& run) {
    const MatrixView<double> G(g_.data(), d_, p_), V(v_.data(), P_.rank(), p_);
    passes_.residual(X_, G, squares_.span(), run);
    if (scale_.is_projected)
      for (Index c = 0; c < p_; ++c) scale_.rhs_norms[c] = std::hypot(scale_.rhs_norms[c], std::sqrt(squares_[c]));
    scale_.is_projected = false;
    for (Index i = 0; i < d_; ++i)
      for (Index c = 0; c < p_; ++c) G(i, c) -= options_.ridge * static_cast<double>(X_(i, c));
    P_.apply_transposed(G, V, run);
    bool is_any_left = false;
    for (Index c = 0; c < p_; ++c) {
      Column& column = columns_[static_cast<std::size_t>(c)];
      if (!column.is_done) look_at(c, round == 0, run);
      // What stalls is solved anew to many digits: where P is ill-conditioned, products with it are not accurate.
      const double wanted = column.stalls > 0 ? 1e-8 : 0.25 * options_.tol / column.bound;
      reduction_[c] = column.is_done ? 1 : std::clamp(wanted, 1e-10, 0.02);
      if (column.is_done)
        for (Index i = 0; i < P_.rank(); ++i) V(i, c) = 0;
      is_any_left = is_any_left || !column.is_done;
    }
    return is_any_left;
  }

  /// X <- X + P y, with y from the inner solver, which takes so many passes.
  Index correct(const InnerSolver& solve, const RunOptions& run) {
    const Array<double> y(v_.size()), correction(d_ * p_);
    const Index passes = solve({v_.data(), P_.rank(), p_}, reduction_.span(), {y.data(), P_.rank(), p_}, run);
    P_.apply({y.data(), P_.rank(), p_}, {correction.data(), d_, p_}, run);
    for (Index i = 0; i < d_; ++i)
      for (Index c = 0; c < p_; ++c)
        if (!columns_[static_cast<std::size_t>(c)].is_done)
          X_(i, c) = static_cast<T>(static_cast<double>(X_(i, c)) + correction[i * p_ + c]);
    return passes;
  }

  void finish(RefinementResult& result) const {
    for (Index c = 0; c < p_; ++c) take_best(c);
    result.residual_norms = Array<double>(p_);
    result.status = LstsqStatus::converged;
    for (Index c = 0; c < p_; ++c) {
      const Column& column = columns_[static_cast<std::size_t>(c)];
      result.residual_norms[c] = column.residual_norm;
      result.backward_error = std::max(result.backward_error, column.backward_error);
      if (!column.is_done)
        result.status = LstsqStatus::maxiter;
      else if (!column.is_accurate && result.status == LstsqStatus::converged)
        result.status = LstsqStatus::stagnated;
    }
  }

 private:
  [[nodiscard]] bool has_factor() const { return P_.is_triangular() && d_ <= largest_exact; }

  void take_best(Index c) const {
    for (Index i = 0; i < d_; ++i) X_(i, c) = static_cast<T>(best_[i * p_ + c]);
  }

  /// R, or null where there is none or it would take long.
  const Factor* plain_factor(const RunOptions& run) {
    if (!has_factor()) return nullptr;
    if (plain_.R.size == 0) {
      plain_ = {Square(d_), Square(d_)};
      std::copy(P_.R().entries.begin(), P_.R().entries.end(), plain_.R.entries.begin());
      if (options_.gram != nullptr)
        std::copy(options_.gram->entries.begin(), options_.gram->entries.end(), plain_.gram.entries.begin());
      else
        gram<double, double>(plain_.R.view(), plain_.gram.view(), run);
    }
    return &plain_;
  }

  /// The same with columns of length 1.
  const Factor* scaled_factor(const RunOptions& run) {
    if (plain_factor(run) == nullptr) return nullptr;
    if (scaled_.R.size == 0) {
      scaled_ = {Square(d_), Square(d_)};
      for (Index i = 0; i < d_; ++i)
        for (Index j = 0; j < d_; ++j) {
          scaled_.R(i, j) = plain_.R(i, j) / scale_.lengths[j];
          scaled_.gram(i, j) = plain_.gram(i, j) / scale_.lengths[i] / scale_.lengths[j];
        }
    }
    return &scaled_;
  }

  void look_at(Index c, bool is_first, const RunOptions& run) {
    Column& column = columns_[static_cast<std::size_t>(c)];
    double norm = 0, scaled_norm = 0;
    for (Index i = 0; i < d_; ++i) {
      const auto x = static_cast<double>(X_(i, c));
      norm = std::hypot(norm, x);
      scaled_norm = std::hypot(scaled_norm, x * scale_.lengths[i]);
      gradient_[i] = g_[i * p_ + c];
      scaled_gradient_[i] = gradient_[i] / scale_.lengths[i];
    }
    const double b = scale_.rhs_norms[c], root_d = std::sqrt(static_cast<double>(d_));
    const double residual = std::sqrt(squares_[c] + options_.ridge * norm * norm);
    const double whitened = norm_of_column({v_.data(), P_.rank(), p_}, c);
    const Solution scaled{root_d, b, scaled_norm, residual, whitened, scaled_gradient_.span()};
    double bound = backward_error(scaled, nullptr, run);
    if (!(bound <= options_.tol) && std::isfinite(bound)) bound = backward_error(scaled, scaled_factor(run), run);

    // Rounding of r, |A||x| + |b|, and of A^T r, which P^T magnifies, cannot be told from what there is to correct.
    const double attainable = unit_roundoff<T> * (4 * (root_d * scaled_norm + b) + scale_.condition * residual);
    const bool is_stalling = !is_first && !(whitened < 0.5 * column.whitened_norm) && !(bound < 0.5 * column.bound);
    column.stalls += is_stalling ? 1 : 0;
    const bool stalls = column.stalls > options_.most_stalls;
    if (bound < column.bound || is_first) {
      column.bound = bound;
      column.residual_norm = std::sqrt(squares_[c]);
      const Solution plain{scale_.frobenius_norm, b, norm, residual, whitened, gradient_.span()};
      column.backward_error = std::isfinite(bound) ? backward_error(plain, nullptr, run) : bound;
      if (d_ <= largest_told || !(column.backward_error <= options_.tol))
        column.backward_error = std::isfinite(bound) ? backward_error(plain, plain_factor(run), run) : bound;
      for (Index i = 0; i < d_; ++i) best_[i * p_ + c] = static_cast<double>(X_(i, c));
    }
    column.is_accurate =
        column.bound <= options_.tol || (stalls && std::min(whitened, column.whitened_norm) <= attainable);
    column.whitened_norm = whitened;
    column.is_done = column.bound <= options_.tol || stalls || !std::isfinite(whitened);
    if (column.is_done) take_best(c);
  }

  Passes<T>& passes_;
  const Preconditioner& P_;
  ProblemScale& scale_;
  const RefinementOptions& options_;
  MatrixView<T> X_;
  Index d_, p_;
  Array<double> g_, v_, best_, squares_, reduction_, gradient_, scaled_gradient_;
  std::vector<Column> columns_;
  Factor plain_, scaled_;
};

}  // namespace

template <class T>
RefinementResult refine(Passes<T>& passes, const Preconditioner& P, const InnerSolver& solve, ProblemScale& scale,
                        const RefinementOptions& options, MatrixView<T> X, const RunOptions& run) {
  Refinement<T> refinement(passes, P, scale, options, X);
  linalg::Progress progress(run);
  RefinementResult result;
  const auto share = static_cast<double>(options.most_corrections + 1);
  for (Index round = 0;; ++round) {
    const double begin = static_cast<double>(round) / share, middle = begin + 0.5 / share;
    const bool is_any_left = refinement.look(round, progress.part(begin, middle));
    ++result.passes;
    if (!is_any_left || round == options.most_corrections) break;
    result.passes += refinement.correct(solve, progress.part(middle, begin + 1 / share));
    ++result.corrections;
  }
  refinement.finish(result);
  return result;
}

#define NEARLINEAR_INSTANTIATE(T)                                                                        \
  template InnerSolver conjugate_gradient_solver(Passes<T>&, const Preconditioner&, double, Index&);     \
  template RefinementResult refine(Passes<T>&, const Preconditioner&, const InnerSolver&, ProblemScale&, \
                                   const RefinementOptions&, MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sketch

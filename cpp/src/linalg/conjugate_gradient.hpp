/// Preconditioned conjugate gradients, for several right-hand sides that share products and nothing else.
///
/// A right-hand side runs in rounds. A round begins with the true residual, scaled by a power of two, and runs
///
///     q = A p,    alpha = rho / p^T q,    d <- d + alpha p,    r <- r - alpha q,
///     z = M r,    beta = r^T z / rho,     rho <- r^T z,        p <- z + beta p
///
/// until r is small enough. Then the column of p holds x + d for once, so that the same product yields its residual.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "linalg/iterative_vectors.hpp"
#include "nearlinear/linalg/iterative.hpp"

namespace nearlinear::linalg {

template <class T>
constexpr double unit_roundoff = std::numeric_limits<T>::epsilon() / 2;

/// One right-hand side.
struct ConjugateGradientColumn {
  enum class Phase {
    iterating,  // p is a direction
    ended,      // the round is over, d its sum
    checking,   // p is a solution, and what A makes of it will tell its residual
    done,
  };

  Index number = 0;
  Phase phase = Phase::checking;
  ConjugateGradientStatus end =
      ConjugateGradientStatus::converged;  // what the status is if the check that comes finds no convergence
  bool is_first_check = true;
  Scaled rhs_norm = {};
  Scaled best_norm = {};  // of the residual of the x that is held
  int exponent = 0;       // the round's vectors are 2^-exponent times the problem's
  double goal = 0;        // of the round's residual norm
  double rho = 0;
  double alpha = 0;             // of the last step, 0 at the beginning of a round
  double beta = 0;              // of the direction that stands
  double largest_quotient = 0;  // of Rayleigh: a lower bound of ||A||
};

/// a <= factor * b, for numbers that may be beyond the range of double.
inline bool at_most(const Scaled& a, double factor, const Scaled& b) {
  return a.fraction <= std::ldexp(factor * b.fraction, b.exponent - a.exponent);
}

template <class T>
class ConjugateGradientSolver {
 public:
  ConjugateGradientSolver(const LinearOperator<T>& A, const LinearOperator<T>& M, Index most_cols,
                          const ConjugateGradientOptions& options, int threads, Monitor& monitor)
      : A_(A),
        M_(M),
        n_(A.rows),
        tol_(options.tol.value_or(std::is_same_v<T, float> ? 1e-4 : 1e-8)),
        maxiter_(options.maxiter.value_or(n_ > std::numeric_limits<Index>::max() / 10 ? n_ : 10 * n_)),
        callback_(options.callback),
        monitor_(monitor),
        loops_(n_, most_cols, threads, monitor),
        r_(checked_product(n_, most_cols)),
        p_(r_.size()),
        q_(r_.size()),
        d_(r_.size()),
        z_(M.apply ? r_.size() : 0),
        sums_(most_cols),
        squares_(most_cols) {
    columns_.reserve(static_cast<std::size_t>(most_cols));
    norms_.reserve(static_cast<std::size_t>(most_cols));
  }

  /// `polls` says whether the monitor belongs to this thread.
  void solve(MatrixView<const T> B, MatrixView<T> X, std::span<ConjugateGradientResult> results, bool polls) {
    B_ = &B;
    X_ = &X;
    results_ = results;
    begin();
    for (Index iteration = 0; !columns_.empty(); ++iteration) {
      if (polls)
        monitor_.poll(maxiter_ > 0 ? std::min(1.0, static_cast<double>(iteration) / static_cast<double>(maxiter_)) : 0);
      if (iteration > 0 || !starts_at_zero_) apply(A_, p_, q_);
      const bool has_moved = advance();
      check_residuals();
      drop_finished();
      if (columns_.empty()) break;
      turn();
      if (has_moved && callback_ && !callback_({latest_, norms_}))
        for (ConjugateGradientColumn& column : columns_) end_round(column, ConjugateGradientStatus::stopped);
      offer_solutions();
    }
  }

 private:
  [[nodiscard]] Index cols() const { return static_cast<Index>(columns_.size()); }
  [[nodiscard]] ConjugateGradientResult& result(const ConjugateGradientColumn& column) const {
    return results_[static_cast<std::size_t>(column.number)];
  }

  void apply(const LinearOperator<T>& op, const Array<T>& from, const Array<T>& to) const {
    op.apply(MatrixView<const T>(from.data(), n_, cols()), MatrixView<T>(to.data(), n_, cols()));
  }

  /// Every right-hand side begins with a check of its guess; that of zeros needs no product.
  void begin() {
    columns_.clear();
    norms_.assign(static_cast<std::size_t>(B_->cols()), 0.0);
    latest_ = 0;
    starts_at_zero_ = true;
    for (Index c = 0; c < B_->cols(); ++c) {
      results_[static_cast<std::size_t>(c)] = {};
      ConjugateGradientColumn column;
      column.number = c;
      column.rhs_norm = scaled_norm(n_, [&](Index i) { return static_cast<double>((*B_)(i, c)); });
      columns_.push_back(column);
    }
    for (Index i = 0; i < n_; ++i)
      for (Index c = 0; c < cols(); ++c) {
        const ConjugateGradientColumn& column = columns_[static_cast<std::size_t>(c)];
        if (column.rhs_norm.fraction == 0) (*X_)(i, c) = T{0};  // which solves A x = 0
        p_[i * cols() + c] = (*X_)(i, c);
        q_[i * cols() + c] = T{0};
        starts_at_zero_ = starts_at_zero_ && (*X_)(i, c) == T{0};
      }
  }

  /// The step along p, for columns that iterate; whether there was one.
  bool advance() {
    loops_.sum(cols(), sums_.data(), [this](Index i, Index) { return product(p_[i], q_[i]); });
    if (M_.apply) loops_.sum(cols(), squares_.data(), [this](Index i, Index) { return product(p_[i], p_[i]); });
    bool has_moved = false;
    for (Index c = 0; c < cols(); ++c) {
      ConjugateGradientColumn& column = columns_[static_cast<std::size_t>(c)];
      const double last_alpha = std::exchange(column.alpha, 0);
      if (column.phase != ConjugateGradientColumn::Phase::iterating) continue;
      const double curvature = sums_[c], alpha = column.rho / curvature;
      if (!(curvature > 0 && std::isfinite(curvature) && alpha > 0 && std::isfinite(alpha))) {
        end_round(column, ConjugateGradientStatus::breakdown);
        continue;
      }
      // Of p or, without a preconditioner, of r: a diagonal entry of the matrix of Lanczos, which is there for nothing.
      const double quotient =
          M_.apply ? curvature / squares_[c] : 1 / alpha + (last_alpha > 0 ? column.beta / last_alpha : 0);
      column.largest_quotient = std::max(column.largest_quotient, quotient);
      column.alpha = alpha;
      latest_ = std::max(latest_, ++result(column).iterations);
      has_moved = true;
    }
    const ConjugateGradientColumn* const columns = columns_.data();
    loops_.sum(cols(), squares_.data(), [this, columns](Index i, Index c) {
      const double alpha = columns[c].alpha;
      d_[i] = static_cast<T>(static_cast<double>(d_[i]) + alpha * static_cast<double>(p_[i]));
      r_[i] = static_cast<T>(static_cast<double>(r_[i]) - alpha * static_cast<double>(q_[i]));
      return product(r_[i], r_[i]);
    });
    for (Index c = 0; c < cols(); ++c) {
      ConjugateGradientColumn& column = columns_[static_cast<std::size_t>(c)];
      if (column.phase != ConjugateGradientColumn::Phase::iterating) continue;
      const double norm = std::sqrt(squares_[c]);
      norms_[static_cast<std::size_t>(column.number)] = std::ldexp(norm, column.exponent);
      if (!std::isfinite(norm))
        end_round(column, ConjugateGradientStatus::breakdown);
      else if (norm <= column.goal)
        end_round(column, ConjugateGradientStatus::converged);
      else if (result(column).iterations >= maxiter_)
        end_round(column, ConjugateGradientStatus::maxiter);
    }
    return has_moved;
  }

  static void end_round(ConjugateGradientColumn& column, ConjugateGradientStatus end) {
    column.phase = ConjugateGradientColumn::Phase::ended;
    column.end = end;
    column.beta = 0;
  }

  void offer_solutions() {
    for (Index c = 0; c < cols(); ++c) {
      ConjugateGradientColumn& column = columns_[static_cast<std::size_t>(c)];
      if (column.phase != ConjugateGradientColumn::Phase::ended) continue;
      column.phase = ConjugateGradientColumn::Phase::checking;
      const double scale = std::ldexp(1.0, column.exponent);
      for (Index i = 0; i < n_; ++i)
        p_[i * cols() + c] = static_cast<T>(static_cast<double>((*X_)(i, column.number)) +
                                            scale * static_cast<double>(d_[i * cols() + c]));
    }
  }

  void check_residuals() {
    for (Index c = 0; c < cols(); ++c)
      if (ConjugateGradientColumn& column = columns_[static_cast<std::size_t>(c)];
          column.phase == ConjugateGradientColumn::Phase::checking)
        check(column, c);
  }

  /// What becomes of a column whose p holds a solution, and q hence A x.
  void check(ConjugateGradientColumn& column, Index c) {
    const Index width = cols();
    const auto residual = [&](Index i) {
      return static_cast<double>((*B_)(i, column.number)) - static_cast<double>(q_[i * width + c]);
    };
    const Scaled norm = scaled_norm(n_, residual);
    const bool is_finite = std::isfinite(norm.fraction);
    const bool is_better = column.is_first_check || (is_finite && at_most(norm, 1, column.best_norm));
    const bool ran_out =
        column.end == ConjugateGradientStatus::maxiter || column.end == ConjugateGradientStatus::stopped;
    const Scaled before = column.best_norm;
    if (is_better || (ran_out && is_finite)) {
      for (Index i = 0; i < n_; ++i) (*X_)(i, column.number) = p_[i * width + c];
      column.best_norm = norm;
    }
    result(column).residual_norm = norms_[static_cast<std::size_t>(column.number)] = column.best_norm.value();

    if (std::isfinite(column.best_norm.fraction) && at_most(column.best_norm, tol_, column.rhs_norm))
      return finish(column, ConjugateGradientStatus::converged);
    if (!is_finite) return finish(column, ConjugateGradientStatus::breakdown);
    if (column.end != ConjugateGradientStatus::converged) return finish(column, column.end);
    if (!column.is_first_check && (!at_most(norm, 0.5, before) || is_attainable(column, c, norm)))
      return finish(column, ConjugateGradientStatus::stagnated);
    if (result(column).iterations >= maxiter_) return finish(column, ConjugateGradientStatus::maxiter);

    column.is_first_check = false;
    column.exponent = norm.exponent;
    column.phase = ConjugateGradientColumn::Phase::iterating;
    column.beta = 0;
    const double scale = std::ldexp(1.0, -norm.exponent);
    for (Index i = 0; i < n_; ++i) {
      r_[i * width + c] = static_cast<T>(scale * residual(i));
      d_[i * width + c] = T{0};
    }
    squares_[c] = norm.fraction * norm.fraction;
    // A little below, so that what rounding adds does not cost another round.
    const double wanted = 0.9 * std::ldexp(tol_ * column.rhs_norm.fraction, column.rhs_norm.exponent - norm.exponent);
    column.goal = std::max(wanted, unit_roundoff<T> * norm.fraction);
  }

  /// ||r|| <= u ||A|| ||x||, from below: less cannot be told from rounding errors of the product A x.
  [[nodiscard]] bool is_attainable(const ConjugateGradientColumn& column, Index c, const Scaled& norm) const {
    const Scaled x = scaled_norm(n_, [&](Index i) { return static_cast<double>(p_[i * cols() + c]); });
    int exponent = 0;
    const double quotient = std::frexp(column.largest_quotient, &exponent);
    return at_most(norm, unit_roundoff<T> * quotient, {x.fraction, x.exponent + exponent});
  }

  void finish(ConjugateGradientColumn& column, ConjugateGradientStatus status) const {
    column.phase = ConjugateGradientColumn::Phase::done;
    result(column).status = status;
  }

  /// New directions.
  void turn() {
    if (M_.apply) {
      apply(M_, r_, z_);
      loops_.sum(cols(), squares_.data(), [this](Index i, Index) { return product(r_[i], z_[i]); });
    }
    for (Index c = 0; c < cols(); ++c) {
      ConjugateGradientColumn& column = columns_[static_cast<std::size_t>(c)];
      if (column.phase != ConjugateGradientColumn::Phase::iterating) continue;
      const double rho = squares_[c];
      if (!(rho > 0 && std::isfinite(rho))) {
        end_round(column, ConjugateGradientStatus::breakdown);
        continue;
      }
      column.beta = column.alpha == 0 ? 0 : rho / column.rho;  // alpha is 0 where a round begins
      column.rho = rho;
    }
    const T* const z = M_.apply ? z_.data() : r_.data();
    const ConjugateGradientColumn* const columns = columns_.data();
    loops_.for_each(cols(), [this, z, columns](Index i, Index c) {
      const double beta = columns[c].beta;
      p_[i] = beta == 0 ? z[i] : static_cast<T>(static_cast<double>(z[i]) + beta * static_cast<double>(p_[i]));
    });
  }

  void drop_finished() {
    const Index width = cols();
    std::vector<Index>& kept = kept_;
    kept.clear();
    for (Index c = 0; c < width; ++c)
      if (columns_[static_cast<std::size_t>(c)].phase != ConjugateGradientColumn::Phase::done) kept.push_back(c);
    const auto left = static_cast<Index>(kept.size());
    if (left == width) return;
    for (const Array<T>* matrix : {&r_, &p_, &d_})
      for (Index i = 0; i < n_; ++i)
        for (Index c = 0; c < left; ++c)
          (*matrix)[i * left + c] = (*matrix)[i * width + kept[static_cast<std::size_t>(c)]];
    for (Index c = 0; c < left; ++c) {
      columns_[static_cast<std::size_t>(c)] = columns_[static_cast<std::size_t>(kept[static_cast<std::size_t>(c)])];
      squares_[c] = squares_[kept[static_cast<std::size_t>(c)]];
    }
    columns_.resize(static_cast<std::size_t>(left));
  }

  static double product(T a, T b) { return static_cast<double>(a) * static_cast<double>(b); }

  const LinearOperator<T>& A_;
  const LinearOperator<T>& M_;
  Index n_;
  double tol_;
  Index maxiter_;
  const std::function<bool(const ConjugateGradientProgress&)>& callback_;
  Monitor& monitor_;
  RowLoops loops_;
  Array<T> r_, p_, q_, d_, z_;
  Array<double> sums_, squares_;
  std::vector<ConjugateGradientColumn> columns_;
  std::vector<Index> kept_;
  std::vector<double> norms_;
  Index latest_ = 0;
  bool starts_at_zero_ = true;
  const MatrixView<const T>* B_ = nullptr;
  const MatrixView<T>* X_ = nullptr;
  std::span<ConjugateGradientResult> results_;
};

}  // namespace nearlinear::linalg

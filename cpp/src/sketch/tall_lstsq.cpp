// The ladder: a method that A is too ill-conditioned for, or does not converge, gives way to the next one.
#include "sketch/tall_lstsq.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/qr.hpp"
#include "sketch/method_choice.hpp"
#include "sketch/refinement.hpp"
#include "sketch/solution.hpp"

namespace nearlinear::sketch {

namespace {

double sum_of_squares(std::span<const double> entries) {
  double sum = 0;
  for (const double entry : entries) sum += entry * entry;
  return sum;
}

template <class T>
class Ladder {
 public:
  Ladder(Passes<T>& passes, bool is_scaled, MatrixView<T> X, const LstsqOptions& options, const RunOptions& run)
      : passes_(passes),
        is_scaled_(is_scaled),
        d_(passes.cols()),
        p_(passes.rhs()),
        X_(X),
        options_(options),
        choice_(passes, options),
        tol_(options.tol.value_or(unit_roundoff<T>)),
        progress_(run) {
    scale_.rhs_norms = Array<double>::zeros(p_);
    if (!options.has_guess) set_zero();
    if (options.has_guess) {
      guess_ = Array<T>(d_ * p_);
      for (Index i = 0; i < d_; ++i) std::copy_n(&X(i, 0), p_, guess_.data() + i * p_);
    }
  }

  LstsqResult<T> solve() {
    if (!passes_.is_repeatable() && options_.method != LstsqMethod::sketch_solve) {
      solve_by_qr();
      return std::move(result_);
    }
    const LstsqMethod first =
        options_.method == LstsqMethod::automatic ? choice_.best(progress_.part(0, 0.01)) : options_.method;
    switch (first) {
      case LstsqMethod::sketch_solve:
        estimate();
        return std::move(result_);
      case LstsqMethod::cholesky:
        if (solve_by_cholesky()) return std::move(result_);
        if (options_.method == LstsqMethod::automatic && solve_by_sketch(choice_.best_but_cholesky()))
          return std::move(result_);
        break;
      case LstsqMethod::gram:
      case LstsqMethod::sketch_cg:
        if (solve_by_sketch(first)) return std::move(result_);
        break;
      default:
        break;
    }
    if (passes_.has_rows()) solve_by_qr();
    return std::move(result_);
  }

 private:
  void set_zero() {
    for (Index i = 0; i < d_; ++i) std::fill_n(&X_(i, 0), p_, T{0});
  }

  /// Before another method begins.
  void restore_guess() {
    if (!options_.has_guess) return set_zero();
    for (Index i = 0; i < d_; ++i) std::copy_n(guess_.data() + i * p_, p_, &X_(i, 0));
  }

  /// The first pass shows whether there is anything that is not finite, or squares that are not.
  void check_scale(double square_of_A, std::span<const double> squares_of_b) {
    if (!is_scaled_) require_scale(passes_, square_of_A, squares_of_b, progress_.part(0.3, 0.3));
  }

  void set_scale(const Square& R) {
    scale_.lengths = Array<double>(d_);
    column_lengths(R, scale_.lengths.span());
    scale_.frobenius_norm = std::sqrt(sum_of_squares(R.entries.span()));
    const RunOptions part = progress_.part(0.3, 0.3);
    result_.condition = estimate_condition(R, part).number();
    const Array<double> lengths(d_);
    scale_.condition = estimate_condition(scale_columns(R, lengths.span()), part).number();
  }

  /// Whether the solution is as accurate as it can be.
  bool refine_with(const Preconditioner& P, const InnerSolver& solver, LstsqMethod method, Index most_corrections,
                   const Square* gram = nullptr) {
    const RefinementOptions refinement{.gram = gram,
                                       .ridge = options_.ridge,
                                       .tol = tol_,
                                       .most_corrections = most_corrections,
                                       .most_stalls = method == LstsqMethod::sketch_cg ? 2 : 0};
    RefinementResult refined = refine(passes_, P, solver, scale_, refinement, X_, progress_.part(0.4, 1));
    result_.method = method;
    result_.status = refined.status;
    result_.backward_error = refined.backward_error;
    result_.passes += refined.passes;
    result_.iterations += refined.corrections;
    result_.residual_norm = std::move(refined.residual_norms);
    result_.rank = P.rank();
    return refined.status == LstsqStatus::converged;
  }

  /// X <- X + P solver(P^T C) for C = A^T B, unless there is a guess.
  void start(const Preconditioner& P, const InnerSolver& solver, const Array<double>& c, bool is_whitened) {
    if (options_.has_guess) return;
    const Index k = P.rank();
    const Array<double> v(k * p_), y = Array<double>::zeros(k * p_), x(d_ * p_), reduction(p_);
    const RunOptions part = progress_.part(0.35, 0.4);
    if (is_whitened)
      std::copy(c.begin(), c.end(), v.begin());
    else
      P.apply_transposed({c.data(), d_, p_}, {v.data(), k, p_}, part);
    std::fill(reduction.begin(), reduction.end(), 0.0);
    (void)solver({v.data(), k, p_}, reduction.span(), {y.data(), k, p_}, part);
    P.apply({y.data(), k, p_}, {x.data(), d_, p_}, part);
    for (Index i = 0; i < d_; ++i)
      for (Index c_ = 0; c_ < p_; ++c_) X_(i, c_) = static_cast<T>(x[i * p_ + c_]);
  }

  bool solve_by_cholesky() {
    const Square G(d_);
    const Array<double> c(d_ * p_);
    passes_.gram(G.view(), {c.data(), d_, p_}, scale_.rhs_norms.span(), progress_.part(0, 0.3));
    ++result_.passes;
    double trace = 0;
    for (Index j = 0; j < d_; ++j) trace += G(j, j);
    check_scale(is_finite(c.span()) ? trace : std::numeric_limits<double>::quiet_NaN(), scale_.rhs_norms.span());
    for (double& norm : scale_.rhs_norms) norm = std::sqrt(norm);
    for (Index j = 0; j < d_; ++j) G(j, j) += options_.ridge;
    std::optional<Square> R = cholesky_factor(G, unit_roundoff<T>, progress_.part(0.3, 0.32));
    if (!R) return false;
    if (!is_good_for_refinement<T>(*R, progress_.part(0.32, 0.34))) return false;
    set_scale(*R);
    result_.factor = Array<double>(d_ * d_);
    std::copy(R->entries.begin(), R->entries.end(), result_.factor.begin());
    const Preconditioner P(std::move(*R));
    start(P, identity_solver(), c, false);
    constexpr Index most = 12;
    if (refine_with(P, identity_solver(), LstsqMethod::cholesky, most, &G)) return true;
    result_.factor = {};
    restore_guess();
    return false;
  }

  /// R from a sketch, then gram or sketch_cg. False if it did not converge; of deficient rank is what QR does better.
  bool solve_by_sketch(LstsqMethod method) {
    if (method == LstsqMethod::tsqr) return false;
    const Index m = choice_.sketch_rows(method);
    const Array<T> SAB(checked_product(m, d_ + p_));
    passes_.sketch(spec(m), {SAB.data(), m, d_ + p_}, progress_.part(0, 0.15));
    ++result_.passes;
    const MatrixView<const T> SA(SAB.data(), m, d_, d_ + p_), SB(SAB.data() + d_, m, p_, d_ + p_);
    check_sketch(SA, SB);
    const Array<double> c(d_ * p_);
    std::optional<Square> R = well_conditioned_factor(SA, SB, c);
    if (!R) R = qr_factor<T>(SA, SB, options_.ridge, {c.data(), d_, p_}, progress_.part(0.15, 0.3));
    set_scale(*R);
    constexpr double eps = std::numeric_limits<T>::epsilon();
    std::optional<RankedSolution> ranked;
    if (options_.rcond || is_deficient(*R, eps, progress_.part(0.3, 0.32))) {
      if (passes_.has_rows() && !passes_.is_sparse()) return false;
      ranked = solve_by_rank(*R, {c.data(), d_, p_}, options_.rcond, eps, progress_.part(0.3, 0.35));
      scale_.condition = 1 / (15 * eps);  // that of what is kept, at most
    }
    const Preconditioner P = ranked ? std::move(ranked->P) : Preconditioner(std::move(*R));
    const bool converged = method == LstsqMethod::gram ? finish_by_gram(P) : finish_by_gradients(P, c);
    if (ranked) remove_null_space(P);
    if (!converged && passes_.has_rows()) restore_guess();
    return converged;
  }

  void check_sketch(MatrixView<const T> SA, MatrixView<const T> SB) {
    double square_of_A = 0;
    std::fill(scale_.rhs_norms.begin(), scale_.rhs_norms.end(), 0.0);
    for (Index j = 0; j < SA.rows(); ++j) {
      for (const T entry : SA.row(j)) square_of_A += static_cast<double>(entry) * static_cast<double>(entry);
      for (Index c = 0; c < p_; ++c)
        scale_.rhs_norms[c] += static_cast<double>(SB(j, c)) * static_cast<double>(SB(j, c));
    }
    check_scale(square_of_A, scale_.rhs_norms.span());
    for (double& norm : scale_.rhs_norms) norm = std::sqrt(norm);
  }

  /// By the Gram matrix of the sketch, where that is good enough; C <- R^{-T} (S A)^T S B then.
  [[nodiscard]] std::optional<Square> well_conditioned_factor(MatrixView<const T> SA, MatrixView<const T> SB,
                                                              const Array<double>& c) {
    constexpr Index small = 256;
    if (d_ <= small) return std::nullopt;
    const Square G(d_);
    const RunOptions part = progress_.part(0.15, 0.2);
    gram<T, double>(SA, G.view(), part);
    for (Index j = 0; j < d_; ++j) G(j, j) += options_.ridge;
    std::optional<Square> R = cholesky_factor(G, unit_roundoff<T>, part);
    if (!R) return std::nullopt;
    if (!is_good_for_refinement<T>(*R, part)) return std::nullopt;
    const Array<T> product(d_ * p_);
    gemm<T>(1, SA, Transpose::yes, SB, Transpose::no, 0, {product.data(), d_, p_}, part);
    std::copy(product.begin(), product.end(), c.begin());
    triangular_solve<double>(Triangle::upper, Transpose::yes, R->view(), {c.data(), d_, p_}, part);
    return R;
  }

  bool finish_by_gram(const Preconditioner& P) {
    const Index k = P.rank();
    Square G(k);
    const Array<double> c(k * p_);
    passes_.whitened_gram(P, G.view(), {c.data(), k, p_}, progress_.part(0.3, 0.4));
    ++result_.passes;
    if (options_.ridge > 0) add_ridge(P, G);
    std::optional<Square> R = cholesky_factor(G, unit_roundoff<T>, progress_.part(0.4, 0.4));
    if (!R) return false;
    Square L(k);
    for (Index i = 0; i < k; ++i)
      for (Index j = 0; j <= i; ++j) L(i, j) = (*R)(j, i);
    if (P.is_triangular()) {  // L^T R_sketch
      result_.factor = Array<double>(d_ * d_);
      Square exact(d_);
      gemm<double>(1, R->view(), Transpose::no, P.R().view(), Transpose::no, 0, exact.view(), progress_.part(0.4, 0.4));
      set_scale(exact);
      std::copy(exact.entries.begin(), exact.entries.end(), result_.factor.begin());
    }
    const InnerSolver solver = factor_solver(std::move(L));
    start(P, solver, c, true);
    constexpr Index most = 6;
    return refine_with(P, solver, LstsqMethod::gram, most);
  }

  /// G <- G + lambda P^T P.
  void add_ridge(const Preconditioner& P, const Square& G) {
    const Index k = P.rank();
    const Array<double> p(d_ * k);
    const Square unit(k);
    for (Index i = 0; i < k; ++i) unit(i, i) = 1;
    P.apply(unit.view(), {p.data(), d_, k}, progress_.part(0.4, 0.4));
    gemm<double>(options_.ridge, {p.data(), d_, k}, Transpose::yes, {p.data(), d_, k}, Transpose::no, 1, G.view(),
                 progress_.part(0.4, 0.4));
  }

  bool finish_by_gradients(const Preconditioner& P, const Array<double>& c) {
    if (!options_.has_guess && P.is_triangular()) {  // the solution of the sketch: x = R^{-1} C
      const Array<double> x(d_ * p_);
      P.apply({c.data(), d_, p_}, {x.data(), d_, p_}, progress_.part(0.35, 0.4));
      for (Index i = 0; i < d_; ++i)
        for (Index k = 0; k < p_; ++k) X_(i, k) = static_cast<T>(x[i * p_ + k]);
    }
    Index left = options_.maxiter;
    const InnerSolver solver = conjugate_gradient_solver(passes_, P, options_.ridge, left);
    constexpr Index most = 6;
    const bool converged = refine_with(P, solver, LstsqMethod::sketch_cg, most);
    result_.iterations = options_.maxiter - left;
    if (!converged && left == 0) result_.status = LstsqStatus::maxiter;
    return converged;
  }

  /// What rounding has left of X outside of the range of P, whose columns span the complement of the null space.
  void remove_null_space(const Preconditioner& P) {
    const Index k = P.rank();
    if (k == 0 || k == d_) return;
    const Array<double> Q(d_ * k), R(k * k), x(d_ * p_), products(k * p_);
    const RunOptions part = progress_.part(1, 1);
    (void)qr_thin<double>({P.P().data(), d_, k}, {Q.data(), d_, k}, {R.data(), k, k}, QrMethod::householder, part);
    for (Index i = 0; i < d_; ++i)
      for (Index c = 0; c < p_; ++c) x[i * p_ + c] = static_cast<double>(X_(i, c));
    gemm<double>(1, {Q.data(), d_, k}, Transpose::yes, {x.data(), d_, p_}, Transpose::no, 0, {products.data(), k, p_},
                 part);
    gemm<double>(1, {Q.data(), d_, k}, Transpose::no, {products.data(), k, p_}, Transpose::no, 0, {x.data(), d_, p_},
                 part);
    for (Index i = 0; i < d_; ++i)
      for (Index c = 0; c < p_; ++c) X_(i, c) = static_cast<T>(x[i * p_ + c]);
  }

  void solve_by_qr() {
    const Array<double> c(d_ * p_), squares(p_);
    Square R(d_);
    passes_.qr(R.view(), {c.data(), d_, p_}, squares.span(), progress_.part(0, 0.8));
    ++result_.passes;
    result_.method = LstsqMethod::tsqr;
    result_.factor = {};
    const MatrixView<double> C(c.data(), d_, p_);
    for (Index k = 0; k < p_; ++k) {
      double square = 0;
      for (Index i = 0; i < d_; ++i) square += C(i, k) * C(i, k);
      scale_.rhs_norms[k] = square;
    }
    check_scale(sum_of_squares(R.entries.span()), scale_.rhs_norms.span());
    for (double& norm : scale_.rhs_norms) norm = std::sqrt(norm);
    scale_.is_projected = true;
    const Array<double> entries_of_R(d_ * d_), entries_of_C(d_ * p_);
    std::copy(R.entries.begin(), R.entries.end(), entries_of_R.begin());
    std::copy(c.begin(), c.end(), entries_of_C.begin());
    if (options_.ridge > 0) {
      const Array<double> damped(d_ * p_);
      R = qr_factor<double>(R.view(), C, options_.ridge, {damped.data(), d_, p_}, progress_.part(0.8, 0.85));
      std::copy(damped.begin(), damped.end(), c.begin());
    }
    set_scale(R);
    constexpr double eps = std::numeric_limits<T>::epsilon();
    const bool is_ranked = options_.rcond || is_deficient(R, eps, progress_.part(0.85, 0.86));
    Preconditioner P;
    const Array<double> x(d_ * p_);
    if (is_ranked) {
      RankedSolution ranked = solve_by_rank(R, C, options_.rcond, eps, progress_.part(0.86, 0.9));
      std::copy(ranked.X.begin(), ranked.X.end(), x.begin());
      result_.condition = ranked.condition;
      P = std::move(ranked.P);
      if (P.rank() == d_) keep_factor(R);
    } else {
      keep_factor(R);
      std::copy(c.begin(), c.end(), x.begin());
      triangular_solve<double>(Triangle::upper, Transpose::no, R.view(), {x.data(), d_, p_}, progress_.part(0.86, 0.9));
      P = Preconditioner(std::move(R));
    }
    for (Index i = 0; i < d_; ++i)
      for (Index k = 0; k < p_; ++k) X_(i, k) = static_cast<T>(x[i * p_ + k]);
    result_.rank = P.rank();
    if (passes_.is_repeatable()) {  // at most one correction; what truncation leaves is no error
      (void)refine_with(P, identity_solver(), LstsqMethod::tsqr, is_ranked ? 0 : 1);
      result_.status = LstsqStatus::converged;
      return;
    }
    // |b - A x|^2 is what is orthogonal to A, and |Q^T b - R x|^2.
    gemm<double>(-1, {entries_of_R.data(), d_, d_}, Transpose::no, {x.data(), d_, p_}, Transpose::no, 1,
                 {entries_of_C.data(), d_, p_}, progress_.part(0.9, 1));
    result_.backward_error = std::numeric_limits<double>::quiet_NaN();
    result_.residual_norm = Array<double>(p_);
    for (Index k = 0; k < p_; ++k) {
      double square = squares[k];
      for (Index i = 0; i < d_; ++i) square += entries_of_C[i * p_ + k] * entries_of_C[i * p_ + k];
      result_.residual_norm[k] = std::sqrt(square);
    }
  }

  void keep_factor(const Square& R) {
    result_.factor = Array<double>(d_ * d_);
    std::copy(R.entries.begin(), R.entries.end(), result_.factor.begin());
  }

  void estimate() {
    const Index m = options_.sketch_rows > 0 ? options_.sketch_rows : 16 * d_;
    const Array<T> SAB(checked_product(m, d_ + p_));
    passes_.sketch(spec(m), {SAB.data(), m, d_ + p_}, progress_.part(0, 0.8));
    ++result_.passes;
    const MatrixView<const T> SA(SAB.data(), m, d_, d_ + p_), SB(SAB.data() + d_, m, p_, d_ + p_);
    check_sketch(SA, SB);
    result_.sketch = solve_sketch<T>(SA, SB, options_.ridge, options_.delta, progress_.part(0.8, 1));
    result_.method = LstsqMethod::sketch_solve;
    result_.status = LstsqStatus::estimate;
    result_.rank = result_.sketch.rank;
    result_.condition = result_.sketch.condition;
    result_.backward_error = std::numeric_limits<double>::quiet_NaN();
    result_.residual_norm = Array<double>(p_);
    std::copy(result_.sketch.residual_norm.begin(), result_.sketch.residual_norm.end(), result_.residual_norm.begin());
    for (Index i = 0; i < d_; ++i) std::copy_n(result_.sketch.x.data() + i * p_, p_, &X_(i, 0));
  }

  [[nodiscard]] SketchSpec spec(Index m) const {
    const SketchKind kind =
        options_.sketch.value_or(passes_.is_sparse() ? SketchKind::sjlt : SketchKind::block_hadamard);
    return sketch_for(passes_.rows(), d_, kind, m, options_.seed);
  }

  Passes<T>& passes_;
  bool is_scaled_;
  Index d_, p_;
  MatrixView<T> X_;
  const LstsqOptions& options_;
  MethodChoice<T> choice_;
  double tol_;
  linalg::Progress progress_;
  ProblemScale scale_;
  Array<T> guess_;
  LstsqResult<T> result_;
};

}  // namespace

template <class T>
LstsqResult<T> tall_lstsq(Passes<T>& passes, bool is_scaled, MatrixView<T> X, const LstsqOptions& options,
                          const RunOptions& run) {
  return Ladder<T>(passes, is_scaled, X, options, run).solve();
}

#define NEARLINEAR_INSTANTIATE(T) \
  template LstsqResult<T> tall_lstsq(Passes<T>&, bool, MatrixView<T>, const LstsqOptions&, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sketch

// LSQR: Golub and Kahan's bidiagonalisation of A, and a QR factorisation of the bidiagonal matrix that grows with it.
// Names are those of Paige and Saunders (1982). Everything runs on b - A x0, scaled by a power of two; what the paper
// sums as squares is joined by hypot here.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "linalg/iterative_vectors.hpp"
#include "nearlinear/linalg/iterative.hpp"

namespace nearlinear {
namespace {

using linalg::Scaled;

/// A, or A N with a preconditioner.
template <class T>
class Products {
 public:
  Products(const LinearOperator<T>& A, const LinearOperator<T>& N) : A_(A), N_(N), middle_(N.apply ? A.cols : 0) {}

  void apply(const Array<T>& x, const Array<T>& y) const {
    if (!N_.apply) return A_.apply(column(x), result(y));
    N_.apply(column(x), result(middle_));
    A_.apply(column(middle_), result(y));
  }
  void apply_transposed(const Array<T>& x, const Array<T>& y) const {
    if (!N_.apply) return A_.apply_transposed(column(x), result(y));
    A_.apply_transposed(column(x), result(middle_));
    N_.apply_transposed(column(middle_), result(y));
  }
  /// N y, in memory that the next product takes.
  [[nodiscard]] const Array<T>& precondition(const Array<T>& y) const {
    if (!N_.apply) return y;
    N_.apply(column(y), result(middle_));
    return middle_;
  }

 private:
  static MatrixView<const T> column(const Array<T>& x) { return {x.data(), x.size(), 1}; }
  static MatrixView<T> result(const Array<T>& y) { return {y.data(), y.size(), 1}; }

  const LinearOperator<T>& A_;
  const LinearOperator<T>& N_;
  Array<T> middle_;
};

/// c, s and r >= 0 with c a + s b = r, s a - c b = 0.
struct Rotation {
  double c = 1, s = 0, r = 0;

  Rotation(double a, double b) : r(std::hypot(a, b)) {
    if (r == 0) return;
    c = a / r;
    s = b / r;
  }
};

template <class T>
class Lsqr {
 public:
  Lsqr(const LinearOperator<T>& A, std::span<const T> b, std::span<T> x, const LsqrOptions& options,
       const LinearOperator<T>& N, const RunOptions& run)
      : A_(A),
        products_(A, N),
        b_(b),
        x_(x),
        damp_(std::abs(options.damp)),
        atol_(options.atol.value_or(default_tol)),
        btol_(options.btol.value_or(default_tol)),
        conlim_(options.conlim.value_or(std::is_same_v<T, float> ? 1e4 : 1e8)),
        maxiter_(options.maxiter.value_or(A.cols > std::numeric_limits<Index>::max() / 4 ? A.cols : 4 * A.cols)),
        callback_(options.callback),
        monitor_(run.keep_going),
        row_loops_(A.rows, 1, thread_count(run.n_threads, A.rows), monitor_),
        col_loops_(A.cols, 1, thread_count(run.n_threads, A.cols), monitor_),
        u_(A.rows),
        au_(A.rows),
        v_(A.cols),
        w_(A.cols),
        d_(Array<T>::zeros(A.cols)),
        atv_(A.cols) {}

  LsqrResult solve() {
    if (begin()) {
      while (result_.iterations < maxiter_) {
        monitor_.poll(static_cast<double>(result_.iterations) / static_cast<double>(maxiter_));
        const Index before = result_.iterations;
        const bool is_last = iterate();
        const bool stops = callback_ && result_.iterations > before && !callback_(in_units_of_b());
        if (is_last) break;
        if (stops) {
          result_.status = LsqrStatus::stopped;
          break;
        }
      }
    }
    if (result_.iterations > 0) {
      const double scale = std::ldexp(1.0, exponent_);
      const Array<T>& d = products_.precondition(d_);
      for (Index i = 0; i < d.size(); ++i) {
        T& entry = x_[static_cast<std::size_t>(i)];
        entry = static_cast<T>(static_cast<double>(entry) + scale * static_cast<double>(d[i]));
      }
    }
    return in_units_of_b();
  }

 private:
  static constexpr double default_tol = std::is_same_v<T, float> ? 1e-4 : 1e-8;
  static constexpr double unit = std::numeric_limits<T>::epsilon() / 2;

  /// u = b - A x0 and v = A^T u, normalised; whether there is anything to do.
  bool begin() {
    if (std::any_of(x_.begin(), x_.end(), [](T entry) { return entry != T{0}; })) {
      A_.apply(MatrixView<const T>(x_.data(), A_.cols, 1), MatrixView<T>(au_.data(), A_.rows, 1));
    } else {
      std::fill(au_.begin(), au_.end(), T{0});
    }
    const auto b = [this](Index i) { return static_cast<double>(b_[static_cast<std::size_t>(i)]); };
    const auto residual = [this, &b](Index i) { return b(i) - static_cast<double>(au_[i]); };
    const Scaled norm = linalg::scaled_norm(A_.rows, residual), b_norm = linalg::scaled_norm(A_.rows, b);
    exponent_ = norm.exponent;
    b_norm_ = std::ldexp(b_norm.fraction, b_norm.exponent - exponent_);
    beta_ = result_.residual_norm = norm.fraction;
    if (!std::isfinite(beta_)) return end(LsqrStatus::breakdown);
    if (beta_ == 0) return end(LsqrStatus::zero_residual);
    const double scale = std::ldexp(1.0, -exponent_);
    for (Index i = 0; i < A_.rows; ++i) u_[i] = static_cast<T>(scale * residual(i) / beta_);
    products_.apply_transposed(u_, v_);
    alpha_ = norm_of(v_);
    result_.normal_residual_norm = alpha_ * beta_;
    if (!std::isfinite(alpha_)) return end(LsqrStatus::breakdown);
    if (alpha_ == 0) return end(LsqrStatus::zero_residual);
    divide(col_loops_, v_, alpha_);
    std::copy(v_.begin(), v_.end(), w_.begin());
    rho_bar_ = alpha_;
    phi_bar_ = beta_;
    return true;
  }

  bool end(LsqrStatus status) {
    result_.status = status;
    return false;
  }

  /// Whether it was the last.
  bool iterate() {
    // Bidiagonalisation: beta u' = A v - alpha u, alpha' v' = A^T u' - beta v.
    products_.apply(v_, au_);
    const double old_alpha = alpha_;
    beta_ = next_vector(row_loops_, au_, alpha_, u_);
    if (beta_ > 0 && std::isfinite(beta_)) {
      products_.apply_transposed(u_, atv_);
      alpha_ = next_vector(col_loops_, atv_, beta_, v_);
    } else {
      alpha_ = beta_;  // 0 at the end of it all, or what is not finite
    }
    if (!std::isfinite(beta_) || !std::isfinite(alpha_)) {
      result_.status = LsqrStatus::breakdown;
      return true;
    }
    result_.norm = std::hypot(std::hypot(result_.norm, old_alpha), std::hypot(beta_, damp_));

    // Two rotations: of damp, and of beta below the diagonal.
    const Rotation of_damp(rho_bar_, damp_);
    const double psi = of_damp.s * phi_bar_;
    const Rotation of_beta(of_damp.r, beta_);
    const double rho = of_beta.r, theta = of_beta.s * alpha_, phi = of_beta.c * of_damp.c * phi_bar_;
    if (rho == 0) {
      result_.status = LsqrStatus::least_squares;
      return true;
    }
    ++result_.iterations;
    rho_bar_ = -of_beta.c * alpha_;
    phi_bar_ = of_beta.s * of_damp.c * phi_bar_;
    update(phi / rho, -theta / rho, rho);

    // ||d|| by a third rotation, from the right.
    const double delta = sine_ * rho, gamma_bar = -cosine_ * rho, rhs = phi - delta * z_;
    result_.solution_norm = std::hypot(earlier_z_, rhs / gamma_bar);
    const double gamma = std::hypot(gamma_bar, theta);
    cosine_ = gamma_bar / gamma;
    sine_ = theta / gamma;
    z_ = rhs / gamma;
    earlier_z_ = std::hypot(earlier_z_, z_);

    result_.condition = result_.norm * inverse_norm_;
    psis_ = std::hypot(psis_, psi);
    result_.residual_norm = std::hypot(phi_bar_, psis_);
    result_.normal_residual_norm = alpha_ * std::abs(of_beta.s * phi);
    return has_converged();
  }

  /// d <- d + step w and w <- v + turn w; adds ||w / rho|| to what estimates ||A^+||.
  void update(double step, double turn, double rho) {
    double square_sum = 0;
    col_loops_.sum(1, &square_sum, [&](Index i, Index) {
      const auto w = static_cast<double>(w_[i]);
      d_[i] = static_cast<T>(static_cast<double>(d_[i]) + step * w);
      w_[i] = static_cast<T>(static_cast<double>(v_[i]) + turn * w);
      return w * w;
    });
    inverse_norm_ = std::hypot(inverse_norm_, std::sqrt(square_sum) / rho);
  }

  bool has_converged() {
    const double by_norms = result_.norm * result_.solution_norm;
    const double compatible = ratio(result_.residual_norm, b_norm_);
    const double of_machine = ratio(result_.residual_norm, b_norm_ + by_norms);
    const double least_squares = ratio(result_.normal_residual_norm, result_.norm * result_.residual_norm);
    const double inverse_condition = 1 / result_.condition;
    if (compatible <= btol_ + atol_ * ratio(by_norms, b_norm_)) return !end(LsqrStatus::compatible);
    if (least_squares <= atol_) return !end(LsqrStatus::least_squares);
    if (conlim_ > 0 && inverse_condition <= 1 / conlim_) return !end(LsqrStatus::condition_limit);
    if (of_machine <= unit) return !end(LsqrStatus::compatible_eps);
    if (least_squares <= unit) return !end(LsqrStatus::least_squares_eps);
    if (inverse_condition <= unit) return !end(LsqrStatus::condition_eps);
    return false;
  }

  static double ratio(double a, double b) { return a == 0 ? 0 : a / b; }

  /// x <- (product - factor x) normalised; returns its norm.
  static double next_vector(const linalg::RowLoops& loops, const Array<T>& product, double factor, const Array<T>& x) {
    double square_sum = 0;
    loops.sum(1, &square_sum, [&](Index i, Index) {
      const double entry = static_cast<double>(product[i]) - factor * static_cast<double>(x[i]);
      x[i] = static_cast<T>(entry);
      return entry * entry;
    });
    const double norm = is_safe(square_sum) ? std::sqrt(square_sum) : norm_of(x);
    if (norm > 0 && std::isfinite(norm)) divide(loops, x, norm);
    return norm;
  }

  /// Of a sum of squares: none that counts was lost, none overflowed.
  static bool is_safe(double square_sum) { return square_sum > 1e-280 && square_sum < 1e280; }

  static double norm_of(const Array<T>& x) {
    return linalg::scaled_norm(x.size(), [&x](Index i) { return static_cast<double>(x[i]); }).value();
  }

  static void divide(const linalg::RowLoops& loops, const Array<T>& x, double divisor) {
    loops.for_each(1, [&](Index i, Index) { x[i] = static_cast<T>(static_cast<double>(x[i]) / divisor); });
  }

  [[nodiscard]] LsqrResult in_units_of_b() const {
    LsqrResult result = result_;
    for (double* norm : {&result.residual_norm, &result.normal_residual_norm, &result.solution_norm})
      *norm = std::ldexp(*norm, exponent_);
    return result;
  }

  const LinearOperator<T>& A_;
  Products<T> products_;
  std::span<const T> b_;
  std::span<T> x_;
  double damp_, atol_, btol_, conlim_;
  Index maxiter_;
  const std::function<bool(const LsqrResult&)>& callback_;
  Monitor monitor_;
  linalg::RowLoops row_loops_, col_loops_;
  Array<T> u_, au_, v_, w_, d_, atv_;
  int exponent_ = 0;
  double b_norm_ = 0;
  double alpha_ = 0, beta_ = 0, rho_bar_ = 0, phi_bar_ = 0;
  double cosine_ = -1, sine_ = 0, z_ = 0, earlier_z_ = 0, psis_ = 0, inverse_norm_ = 0;
  LsqrResult result_;
};

}  // namespace

template <class T>
LsqrResult lsqr(const LinearOperator<T>& A, std::span<const T> b, std::span<T> x, const LsqrOptions& options,
                const LinearOperator<T>& N, const RunOptions& run) {
  require(A.rows >= 0 && A.cols >= 0 && A.apply && A.apply_transposed, "lsqr: A is ", Shape{A.rows, A.cols},
          "; it must have apply and apply_transposed");
  require(std::ssize(b) == A.rows && std::ssize(x) == A.cols, "lsqr: A is ", Shape{A.rows, A.cols}, ", b has ",
          std::ssize(b), " entries and x has ", std::ssize(x), "; they must have as many as A has rows and columns");
  require(!N.apply || (N.rows == A.cols && N.cols == A.cols && N.apply_transposed), "lsqr: A is ",
          Shape{A.rows, A.cols}, " and N is ", Shape{N.rows, N.cols},
          "; N must be square, with a row for every column of A, and have apply_transposed");
  require(std::isfinite(options.damp), "lsqr: damp is ", options.damp, "; it must be finite");
  for (const auto& [value, name] :
       {std::pair{options.atol, "atol"}, std::pair{options.btol, "btol"}, std::pair{options.conlim, "conlim"}})
    require(!value || *value >= 0, "lsqr: ", name, " is ", value.value_or(0), "; it must not be negative");
  require(!options.maxiter || *options.maxiter >= 0, "lsqr: maxiter is ", options.maxiter.value_or(0),
          "; it must not be negative");
  return Lsqr<T>(A, b, x, options, N, run).solve();
}

template LsqrResult lsqr(const LinearOperator<float>&, std::span<const float>, std::span<float>, const LsqrOptions&,
                         const LinearOperator<float>&, const RunOptions&);
template LsqrResult lsqr(const LinearOperator<double>&, std::span<const double>, std::span<double>, const LsqrOptions&,
                         const LinearOperator<double>&, const RunOptions&);

}  // namespace nearlinear

// min sum w |V^T x| + g^T x subject to c^T x = t, for p = 1.
//
// The dual of it is max mu t subject to V v + g = mu c, |v_j| <= w_j. With y = V^T x = plus - minus, plus, minus >= 0,
// both are optimal when (w - v) plus = (w + v) minus = 0, and Newton's method goes for (w - v) plus = (w + v) minus =
// target -> 0 with Mehrotra's predictor and corrector (Portnoy and Koenker, The Gaussian hare and the Laplacian
// tortoise, Statistical Science 12, 1997, section 5).
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sampling/row_program.hpp"
#include "sampling/vectors.hpp"

namespace nearlinear::sampling {
namespace {

class InteriorPointMethod {
 public:
  InteriorPointMethod(MatrixView<const double> V, std::span<const double> weights, std::span<const double> g,
                      std::span<const double> c, double t, std::span<double> x, const ProgramOptions& options,
                      Scratch& scratch)
      : V_(V),
        weights_(weights),
        g_(g),
        c_(c),
        t_(t),
        x_(x),
        options_(options),
        scratch_(scratch),
        y_(piece(0, V.cols())),
        dy_(piece(1, V.cols())),
        theta_(piece(2, V.cols())),
        shift_(piece(3, V.cols())),
        dv_(piece(4, V.cols())),
        dplus_(piece(5, V.cols())),
        dminus_(piece(6, V.cols())),
        v_(piece(7, V.cols())),
        point_{piece(8, V.cols()).data(), piece(9, V.cols()).data(), piece(10, V.cols()).data(),
               piece(11, V.cols()).data()},
        rest_(piece(12, V.rows())),
        dx_(piece(13, V.rows())),
        toward_(piece(14, V.rows())),
        product_(piece(22, V.rows())),
        H_(V.rows()),
        best_(x.begin(), x.end()) {}

  ProgramResult run() {
    kernels().combine(size(), columns(V_), x_.data(), y_.data());
    const double total = absolute_sum(weights_, y_);
    result_.value = total + dot(g_, x_);
    result_.bound = total > 0 ? -std::numeric_limits<double>::infinity() : result_.value;
    if (total > 0) {
      begin(total / static_cast<double>(size()));
      while (result_.iterations < options_.maxiter && !is_done()) {
        ++result_.iterations;
        if (!step()) {
          result_.is_stuck = true;
          break;
        }
      }
    }
    std::copy(best_.begin(), best_.end(), x_.begin());
    result_.bound = std::min(result_.bound, result_.value);
    return result_;
  }

 private:
  [[nodiscard]] Index size() const { return V_.cols(); }
  [[nodiscard]] std::span<double> piece(std::size_t which, Index size) {
    return {scratch_.room(which, size), static_cast<std::size_t>(size)};
  }

  /// On the central path of sigma but for V v + g = mu c: (w - v) plus = (w + v) minus = sigma, plus - minus = y.
  void begin(double sigma) {
    for (std::size_t j = 0; j < y_.size(); ++j) {
      // v = w kappa / (1 + root), and w - |v| without cancellation.
      const double w = weights_[j], kappa = w * y_[j] / sigma, root = std::sqrt(1 + kappa * kappa);
      const double near = w * (1 + 1 / (root + std::abs(kappa))) / (1 + root), far = 2 * w - near;
      point_.above[j] = kappa >= 0 ? near : far;
      point_.below[j] = kappa >= 0 ? far : near;
      point_.plus[j] = sigma / point_.above[j];
      point_.minus[j] = sigma / point_.below[j];
    }
  }

  /// What the point is worth, and whether that is enough.
  bool is_done() {
    for (std::size_t j = 0; j < v_.size(); ++j) v_[j] = 0.5 * (point_.below[j] - point_.above[j]);
    kernels().reduce(size(), columns(V_), v_.data(), rest_.data());
    for (std::size_t k = 0; k < rest_.size(); ++k) rest_[k] += g_[k] - mu_ * c_[k];
    const double infeasibility = std::sqrt(dot(rest_, rest_)), value = absolute_sum(weights_, y_) + dot(g_, x_);
    if (value < result_.value) {
      result_.value = value;
      std::copy(x_.begin(), x_.end(), best_.begin());
    }
    // For all x' with c^T x' = t: value(x') >= mu t - |rest| |x'|, and |x'| = |V^T x'|_2 <= value(x') for weights of 1
    // or more, when the rows of all of V are orthonormal.
    if (infeasibility < 0.1) result_.bound = std::max(result_.bound, mu_ * t_ / (1 + infeasibility));
    complementarity_ = kernels().gap_after(size(), point_, v_.data(), v_.data(), v_.data(), 0, 0);
    is_near_the_end_ = complementarity_ <= 1e-4 * value;
    if (result_.gap() <= options_.tol) return true;
    if (options_.is_rough && infeasibility <= 0.01 * std::abs(mu_) * std::sqrt(dot(c_, c_)) &&
        complementarity_ <= options_.tol * value)
      return true;
    constexpr double good = 1e-6;
    constexpr Index patience = 4;
    stalls_ += result_.gap() < good && !(result_.gap() < 0.9 * last_gap_) ? 1 : 0;
    last_gap_ = result_.gap();
    // What is left of the gap once products are 0 is infeasible, and by rounding.
    result_.is_stuck = stalls_ >= patience || complementarity_ <= 1e-3 * options_.tol * value;
    return result_.is_stuck;
  }

  /// A step towards products of 0, and from there to where products are alike.
  bool step() {
    if (!find_direction(false, 0)) return false;
    const double now = complementarity_;
    const double after = kernels().gap_after(size(), point_, dv_.data(), dplus_.data(), dminus_.data(),
                                             std::min(1.0, longest_[0]), std::min(1.0, longest_[1]));
    const double target = now / (2 * static_cast<double>(size())) * std::pow(std::max(after, 0.0) / now, 3);
    if (!find_direction(true, target)) return false;
    constexpr double share = 0.995;
    const double step_v = std::min(1.0, share * longest_[0]), step_y = std::min(1.0, share * longest_[1]);
    kernels().move(size(), point_, dv_.data(), dplus_.data(), dminus_.data(), step_v, step_y);
    mu_ += step_v * dmu_;
    for (std::size_t k = 0; k < dx_.size(); ++k) x_[k] += step_y * dx_[k];
    kernels().combine(size(), columns(V_), x_.data(), y_.data());
    return true;
  }

  /// Newton's step for products of `target`; that of the corrector minds what was left out in the one before. H = V
  /// theta V^T is that of both.
  bool find_direction(bool is_corrector, double target) {
    const auto& kernel = kernels();
    kernel.scale(size(), point_, y_.data(), is_corrector ? dv_.data() : nullptr, dplus_.data(), dminus_.data(), target,
                 theta_.data(), shift_.data());
    if (!is_corrector) {
      weighted_gram(V_, theta_.data(), H_, scratch_);
      if (!factor_definite(H_)) return false;
      std::copy(c_.begin(), c_.end(), toward_.begin());
      solve_definite(H_, toward_.data());
    }
    kernel.reduce(size(), columns(V_), shift_.data(), product_.data());
    for (std::size_t k = 0; k < dx_.size(); ++k) dx_[k] = product_[k] - rest_[k];
    solve_definite(H_, dx_.data());
    dmu_ = (t_ - dot(c_, x_) - dot(c_, dx_)) / dot(c_, toward_);
    for (std::size_t k = 0; k < dx_.size(); ++k) dx_[k] += dmu_ * toward_[k];
    kernel.combine(size(), columns(V_), dx_.data(), dy_.data());
    if (is_corrector && is_near_the_end_) correct_direction();
    kernel.directions(size(), point_, dy_.data(), theta_.data(), shift_.data(), is_corrector, target, dv_.data(),
                      dplus_.data(), dminus_.data(), longest_);
    return std::isfinite(dmu_);
  }

  /// H is of any condition near the end, and rounding in dx shows in V (v + dv) + g - (mu + dmu) c.
  void correct_direction() {
    for (std::size_t j = 0; j < v_.size(); ++j) v_[j] = theta_[j] * dy_[j] - shift_[j];
    kernels().reduce(size(), columns(V_), v_.data(), product_.data());
    for (std::size_t k = 0; k < dx_.size(); ++k) product_[k] += rest_[k] - dmu_ * c_[k];
    solve_definite(H_, product_.data());
    const double correction = dot(c_, product_) / dot(c_, toward_);
    for (std::size_t k = 0; k < dx_.size(); ++k) dx_[k] += correction * toward_[k] - product_[k];
    dmu_ += correction;
    kernels().combine(size(), columns(V_), dx_.data(), dy_.data());
  }

  MatrixView<const double> V_;
  std::span<const double> weights_, g_, c_;
  double t_;
  std::span<double> x_;
  const ProgramOptions& options_;
  Scratch& scratch_;
  std::span<double> y_, dy_, theta_, shift_, dv_, dplus_, dminus_, v_;
  InteriorPoint point_;
  std::span<double> rest_, dx_, toward_, product_;  // rest: V v + g - mu c
  sketch::Square H_;
  std::vector<double> best_;
  double mu_ = 0;
  double dmu_ = 0;
  double longest_[2] = {1, 1};  // steps of v and of y that stay inside
  double complementarity_ = 0;
  bool is_near_the_end_ = false;
  double last_gap_ = std::numeric_limits<double>::infinity();
  Index stalls_ = 0;
  ProgramResult result_;
};

}  // namespace

ProgramResult solve_least_absolute(MatrixView<const double> V, std::span<const double> weights,
                                   std::span<const double> g, std::span<const double> c, double t, std::span<double> x,
                                   const ProgramOptions& options, Scratch& scratch) {
  return InteriorPointMethod(V, weights, g, c, t, x, options, scratch).run();
}

}  // namespace nearlinear::sampling

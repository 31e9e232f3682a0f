/// L-BFGS for concave functions that may have corners.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace nearlinear::ot {

/// Maximises a function from a point x, of which evaluate(x, gradient) gives the value and a supergradient. Steps
/// satisfy the weak Wolfe conditions, found by bisection, which a corner does not disturb: A. S. Lewis and M. L.
/// Overton, "Nonsmooth optimization via quasi-Newton methods", Mathematical Programming 141, 2013.
template <class Evaluate>
class Lbfgs {
 public:
  Lbfgs(Evaluate evaluate, std::vector<double> x)
      : evaluate_(std::move(evaluate)), x_(std::move(x)), gradient_(x_.size()), direction_(x_.size()) {
    value_ = evaluate_(x_, gradient_);
  }

  [[nodiscard]] const std::vector<double>& x() const { return x_; }
  [[nodiscard]] double value() const { return value_; }

  /// Whether the function has risen.
  bool step() {
    set_direction();
    const double slope = dot(gradient_, direction_);
    if (!(slope > 0)) return false;
    constexpr double sufficient = 1e-4, flatter = 0.9;
    constexpr int most_trials = 25;
    double low = 0, high = std::numeric_limits<double>::infinity();
    double size = pairs_.empty() ? first_step_ / std::sqrt(dot(direction_, direction_)) : 1.0;
    std::vector<double> x(x_.size()), gradient(x_.size()), of_low;
    double value_of_low = value_;
    for (int trial = 0; trial < most_trials; ++trial) {
      for (std::size_t k = 0; k < x.size(); ++k) x[k] = x_[k] + size * direction_[k];
      const double value = evaluate_(x, gradient);
      if (!(value >= value_ + sufficient * size * slope)) {
        high = size;
      } else if (dot(gradient, direction_) > flatter * slope) {
        low = size;
        value_of_low = value;
        of_low = gradient;
      } else {
        accept(x, gradient, value);
        return true;
      }
      size = high < std::numeric_limits<double>::infinity() ? 0.5 * (low + high) : 2 * size;
    }
    if (low == 0) return false;
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = x_[k] + low * direction_[k];
    accept(x, of_low, value_of_low);
    return true;
  }

  /// The length of the first step, until curvature is known.
  void set_first_step(double length) { first_step_ = length; }

  /// Forgets the curvature.
  void restart() { pairs_.clear(); }
  [[nodiscard]] bool is_fresh() const { return pairs_.empty(); }

 private:
  struct Pair {
    std::vector<double> s, y;
    double product;
  };

  static double dot(std::span<const double> x, std::span<const double> y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  }

  void accept(const std::vector<double>& x, const std::vector<double>& gradient, double value) {
    constexpr std::size_t most_pairs = 10;
    Pair pair{x, gradient_, 0};
    for (std::size_t k = 0; k < x.size(); ++k) {
      pair.s[k] -= x_[k];
      pair.y[k] -= gradient[k];
    }
    pair.product = dot(pair.s, pair.y);
    if (pair.product > 1e-14 * dot(pair.y, pair.y)) {
      if (pairs_.size() == most_pairs) pairs_.pop_front();
      pairs_.push_back(std::move(pair));
    }
    x_ = x;
    gradient_ = gradient;
    value_ = value;
  }

  void set_direction() {
    direction_ = gradient_;
    std::vector<double> alphas(pairs_.size());
    for (std::size_t p = pairs_.size(); p-- > 0;) {
      const Pair& pair = pairs_[p];
      alphas[p] = dot(pair.s, direction_) / pair.product;
      for (std::size_t k = 0; k < direction_.size(); ++k) direction_[k] -= alphas[p] * pair.y[k];
    }
    if (!pairs_.empty()) {
      const double scale = pairs_.back().product / dot(pairs_.back().y, pairs_.back().y);
      for (double& entry : direction_) entry *= scale;
    }
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const Pair& pair = pairs_[p];
      const double beta = dot(pair.y, direction_) / pair.product;
      for (std::size_t k = 0; k < direction_.size(); ++k) direction_[k] += (alphas[p] - beta) * pair.s[k];
    }
  }

  Evaluate evaluate_;
  std::vector<double> x_, gradient_, direction_;
  std::deque<Pair> pairs_;
  double value_ = 0;
  double first_step_ = 1;
};

}  // namespace nearlinear::ot

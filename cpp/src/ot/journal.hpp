/// What a solver has done, how much it may still do, and who is told.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/threads.hpp"
#include "nearlinear/ot/sinkhorn.hpp"

namespace nearlinear::ot {

class Journal {
 public:
  using Callback = std::function<bool(const SinkhornIteration&)>;

  Journal(const Callback& callback, Index maxiter, Monitor& monitor)
      : callback_(callback), maxiter_(maxiter), monitor_(monitor) {}

  /// Notes an iteration. Returns whether there may be another one.
  bool add(SinkhornIteration iteration) {
    iteration.iteration = ++iterations_;
    newton_iterations_ += iteration.newton ? 1 : 0;
    history_.push_back(iteration);
    if (callback_ && !callback_(iteration)) stopped_ = true;
    return may_go_on();
  }

  [[nodiscard]] bool may_go_on() const { return !stopped_ && iterations_ < maxiter_; }
  [[nodiscard]] Index left() const { return maxiter_ - iterations_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] Index iterations() const { return iterations_; }
  [[nodiscard]] Index newton_iterations() const { return newton_iterations_; }
  [[nodiscard]] std::vector<SinkhornIteration>& history() { return history_; }

  /// Sets how much of the call is done: nobody knows, but digits of the error are a guess.
  void show(double begin, double end, double error, double goal) {
    const double digits = std::log(std::clamp(error, 1e-300, 1.0)) / std::log(std::clamp(goal, 1e-300, 0.5));
    const double now = std::max(shown_, begin + (end - begin) * std::clamp(digits, 0.0, 1.0));
    shown_ = now;
    monitor_.enter_stage(now, now);
    monitor_.poll(0);
  }

 private:
  const Callback& callback_;
  Index maxiter_;
  Monitor& monitor_;
  Index iterations_ = 0;
  Index newton_iterations_ = 0;
  bool stopped_ = false;
  double shown_ = 0;
  std::vector<SinkhornIteration> history_;
};

}  // namespace nearlinear::ot

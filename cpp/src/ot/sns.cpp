// Sinkhorn-Newton-Sparse: X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. K. Thekumparampil, T. Xiao and L. Ying,
// "Accelerating Sinkhorn algorithm with sparse Newton iterations", ICLR 2024, algorithm 1.
#include "ot/sns.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace nearlinear::ot {
namespace {

double dot(std::span<const double> x, std::span<const double> y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

/// A point of the dual; z = (f, g), gradient = (a - P 1, b - P^T 1).
struct Point {
  std::vector<double> z, marginals, gradient;
  double value = 0;
  double error = 0;
};

class SparseNewton {
 public:
  SparseNewton(const Problem& problem, RowPasses& passes, double reg, double entries)
      : problem_(problem),
        passes_(passes),
        reg_(reg),
        n_(problem.a.size()),
        kept_(std::max<Index>(1, static_cast<Index>(std::ceil(std::min(entries, problem.pairs()))))),
        counts_(problem.a.size()) {}

  void evaluate(Point& at) const {
    const std::size_t size = n_ + problem_.b.size();
    at.marginals.resize(size);
    at.gradient.resize(size);
    const PlanTotals totals =
        passes_.totals(reg_, at.z.data(), at.z.data() + n_, at.marginals.data(), at.marginals.data() + n_, false);
    at.error = 0;
    for (std::size_t k = 0; k < size; ++k) {
      at.gradient[k] = (k < n_ ? problem_.a[k] : problem_.b[k - n_]) - at.marginals[k];
      at.error += std::abs(at.gradient[k]);
    }
    at.value = dot(problem_.a, at.z) + dot(problem_.b, std::span(at.z).subspan(n_)) - reg_ * totals.mass;
  }

  /// The largest entries of the plan, by bisection of how large f + g - C must be.
  void sparsify(const Point& at) {
    constexpr int most_bisections = 50;
    constexpr double enough = 1.02;  // of the entries: the rest is sorted out afterwards
    double low = -800 * reg_, high = 0;
    Index count = count_above(at, low);
    for (int k = 0; k<most_bisections&& static_cast<double>(count)> enough * static_cast<double>(kept_); ++k) {
      const double middle = 0.5 * (low + high);
      const Index there = count_above(at, middle);
      if (there >= kept_) {
        low = middle;
        count = there;
      } else {
        high = middle;
      }
    }
    collect(at, low);
  }

  /// step <- M^+ gradient, M = [diag(P 1), P; P^T, diag(P^T 1)] with the plan's largest entries; returns the number of
  /// iterations of conjugate gradients.
  Index solve(const Point& at, double tol, std::vector<double>& step) const {
    constexpr Index most_iterations = 3000;
    const std::size_t size = at.z.size();
    std::vector<double> inverse(size), r = at.gradient, z(size), p(size), q(size);
    for (std::size_t k = 0; k < size; ++k) inverse[k] = 1 / std::max(at.marginals[k], 1e-300);
    const auto norm = [](const std::vector<double>& x) { return std::sqrt(dot(x, x)); };
    const double goal = tol * norm(r);
    step.assign(size, 0.0);
    for (std::size_t k = 0; k < size; ++k) p[k] = inverse[k] * r[k];
    double rho = dot(r, p);
    for (Index iteration = 1; iteration <= most_iterations; ++iteration) {
      multiply(at, p, q);
      const double curvature = dot(p, q);
      if (!(curvature > 0)) return iteration;
      const double alpha = rho / curvature, before = rho;
      for (std::size_t k = 0; k < size; ++k) {
        step[k] += alpha * p[k];
        r[k] -= alpha * q[k];
        z[k] = inverse[k] * r[k];
      }
      if (norm(r) <= goal) return iteration;
      rho = dot(r, z);
      for (std::size_t k = 0; k < size; ++k) p[k] = z[k] + rho / before * p[k];
    }
    return most_iterations;
  }

  [[nodiscard]] Index nnz() const { return std::ssize(values_); }

 private:
  template <class Use>
  void for_rows(const Point& at, const Use& use) const {
    passes_.for_rows(0.5, [&](Index i, const RowScratch& scratch) {
      problem_.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index count) {
        use(i, cost, at.z.data() + n_ + static_cast<std::size_t>(first), count, at.z[static_cast<std::size_t>(i)],
            first, scratch);
      });
    });
  }

  Index count_above(const Point& at, double threshold) {
    std::fill(counts_.begin(), counts_.end(), Index{0});
    for_rows(at,
             [&]<class T>(Index i, const T* cost, const double* g, Index count, double f, Index, const RowScratch&) {
               counts_[static_cast<std::size_t>(i)] += row_kernels<T>().count(cost, g, count, f, threshold);
             });
    return std::accumulate(counts_.begin(), counts_.end(), Index{0});
  }

  void collect(const Point& at, double threshold) {
    const Index found = count_above(at, threshold);
    std::vector<Index> next(counts_.size());
    std::exclusive_scan(counts_.begin(), counts_.end(), next.begin(), Index{0});
    rows_.resize(static_cast<std::size_t>(found));
    cols_.resize(rows_.size());
    values_.resize(rows_.size());
    for_rows(at, [&]<class T>(Index i, const T* cost, const double* g, Index count, double f, Index first,
                              const RowScratch& scratch) {
      std::int32_t numbers[Costs::tile + 8];
      Index& place = next[static_cast<std::size_t>(i)];
      const Index here =
          row_kernels<T>().collect(cost, g, count, f, threshold, static_cast<std::int32_t>(first), numbers, scratch.t);
      std::copy_n(numbers, here, cols_.data() + place);
      std::copy_n(scratch.t, here, values_.data() + place);
      std::fill_n(rows_.data() + place, here, static_cast<std::int32_t>(i));
      place += here;
    });
    if (found > kept_) keep_largest();
    kernels().exponentials_of(values_.data(), nnz(), 1 / reg_);
  }

  void keep_largest() {
    std::vector<double> sorted = values_;
    const auto last = sorted.begin() + (kept_ - 1);
    std::nth_element(sorted.begin(), last, sorted.end(), std::greater<>());
    std::size_t kept = 0;
    for (std::size_t k = 0; k < values_.size() && kept < static_cast<std::size_t>(kept_); ++k)
      if (values_[k] >= *last) {
        values_[kept] = values_[k];
        rows_[kept] = rows_[k];
        cols_[kept++] = cols_[k];
      }
    values_.resize(kept);
    rows_.resize(kept);
    cols_.resize(kept);
  }

  void multiply(const Point& at, const std::vector<double>& x, std::vector<double>& y) const {
    for (std::size_t k = 0; k < x.size(); ++k) y[k] = at.marginals[k] * x[k];
    for (std::size_t k = 0; k < values_.size(); ++k) {
      const auto row = static_cast<std::size_t>(rows_[k]), col = n_ + static_cast<std::size_t>(cols_[k]);
      y[row] += values_[k] * x[col];
      y[col] += values_[k] * x[row];
    }
  }

  Problem problem_;
  RowPasses& passes_;
  double reg_;
  std::size_t n_;
  Index kept_;
  std::vector<Index> counts_;
  std::vector<std::int32_t> rows_, cols_;
  std::vector<double> values_;
};

}  // namespace

Outcome solve_sns(const Problem& problem, RowPasses& passes, Journal& journal, const SinkhornOptions& options,
                  Shape shape, double goal, std::span<double> f, std::span<double> g) {
  const double reg = options.reg;
  const std::size_t n = f.size();
  std::vector<double> r(n), c(g.size());
  const auto error_of = [&] {
    passes.fit_rows(reg, g, f, r, c);
    double error = 0;
    for (std::size_t j = 0; j < g.size(); ++j) error += std::abs(problem.b[j] - c[j]);
    return error;
  };
  double error = error_of();
  bool goes_on = journal.may_go_on();
  for (Index sweep = 0; sweep < options.sns_sweeps && goes_on && error > goal; ++sweep) {
    for (std::size_t j = 0; j < g.size(); ++j)
      g[j] += reg * (std::log(problem.b[j]) - std::log(std::max(c[j], 1e-300)));
    error = error_of();
    goes_on = journal.add({.reg = reg, .marginal_error = error});
  }

  const auto rows = static_cast<double>(shape.rows), cols = static_cast<double>(shape.cols);
  const double density = options.sns_density > 0 ? options.sns_density : 2 / std::max(rows, cols);
  SparseNewton newton(problem, passes, reg, density * rows * cols);
  Point at, trial;
  at.z.assign(f.begin(), f.end());
  at.z.insert(at.z.end(), g.begin(), g.end());
  newton.evaluate(at);
  std::vector<double> step;
  Outcome outcome = Outcome::reached;
  while (!(at.error <= goal)) {
    if (!goes_on) {
      outcome = Outcome::over;
      break;
    }
    newton.sparsify(at);
    const Index iterations = newton.solve(at, std::clamp(at.error, 1e-6, 1e-2), step);
    const double slope = reg * dot(step, at.gradient);
    double largest = 0;
    for (const double entry : step) largest = std::max(largest, std::abs(entry));
    double alpha = std::min(1.0, 20 / std::max(largest, 1e-300));
    bool accepted = false;
    for (int k = 0; k < 20 && !accepted; ++k, alpha *= 0.5) {
      trial.z = at.z;
      for (std::size_t l = 0; l < step.size(); ++l) trial.z[l] += alpha * reg * step[l];
      newton.evaluate(trial);
      accepted = trial.value >= at.value + 1e-4 * alpha * slope || trial.error < 0.7 * at.error;
    }
    if (!accepted) {
      outcome = Outcome::stuck;
      break;
    }
    std::swap(at, trial);
    journal.show(0, 1, at.error, goal);
    goes_on = journal.add(
        {.reg = reg, .marginal_error = at.error, .newton = true, .cg_iterations = iterations, .nnz = newton.nnz()});
  }
  std::copy_n(at.z.begin(), n, f.begin());
  std::copy(at.z.begin() + static_cast<std::ptrdiff_t>(n), at.z.end(), g.begin());
  return outcome;
}

}  // namespace nearlinear::ot

#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "nearlinear/completion.hpp"

using namespace nearlinear;

namespace {

/// Entries of a matrix of low rank, by rows, each observed with the given probability, and what the matrix is.
struct Instance {
  Index rows, cols, rank;
  std::vector<double> left, right;  // stored by rows
  double mu = 0;
  std::vector<double> row_bias, col_bias;
  std::vector<std::int64_t> indptr{0}, indices;
  std::vector<double> data, weights;

  Instance(Index m, Index n, Index k, double share, std::uint64_t seed, double noise = 0, double biases = 0)
      : rows(m), cols(n), rank(k) {
    const RandomStream u(seed, 0), v(seed, 1), chosen(seed, 2), errors(seed, 3), b(seed, 4), c(seed, 5), w(seed, 6);
    for (Index t = 0; t < m * k; ++t) left.push_back(u.normal(static_cast<std::uint64_t>(t)));
    for (Index t = 0; t < n * k; ++t) right.push_back(v.normal(static_cast<std::uint64_t>(t)));
    mu = 3 * biases;
    for (Index i = 0; i < m; ++i) row_bias.push_back(biases * b.normal(static_cast<std::uint64_t>(i)));
    for (Index j = 0; j < n; ++j) col_bias.push_back(biases * c.normal(static_cast<std::uint64_t>(j)));
    for (Index i = 0; i < m; ++i) {
      for (Index j = 0; j < n; ++j) {
        const auto t = static_cast<std::uint64_t>(i * n + j);
        if (chosen.uniform(t) >= share) continue;
        indices.push_back(j);
        data.push_back(truth(i, j) + noise * errors.normal(t));
        weights.push_back(0.5 + w.uniform(t));
      }
      indptr.push_back(std::ssize(data));
    }
  }

  [[nodiscard]] double truth(Index i, Index j) const {
    double sum = mu + row_bias[static_cast<std::size_t>(i)] + col_bias[static_cast<std::size_t>(j)];
    for (Index r = 0; r < rank; ++r)
      sum += left[static_cast<std::size_t>(i * rank + r)] * right[static_cast<std::size_t>(j * rank + r)];
    return sum;
  }
  [[nodiscard]] CsrView<double, std::int64_t> X() const { return {rows, cols, indptr, indices, data}; }

  /// Largest error of the model over all entries.
  [[nodiscard]] double error(const LowRankModel& model) const {
    std::vector<std::int64_t> at_rows, at_cols;
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) {
        at_rows.push_back(i);
        at_cols.push_back(j);
      }
    std::vector<double> values(at_rows.size());
    predict(model, at_rows, at_cols, values);
    double worst = 0;
    for (std::size_t e = 0; e < values.size(); ++e)
      worst = std::max(worst, std::abs(values[e] - truth(at_rows[e], at_cols[e])));
    return worst;
  }
};

bool are_equal(const LowRankModel& a, const LowRankModel& b) {
  return std::ranges::equal(a.left.span(), b.left.span()) && std::ranges::equal(a.right.span(), b.right.span()) &&
         std::ranges::equal(a.row_bias.span(), b.row_bias.span()) &&
         std::ranges::equal(a.col_bias.span(), b.col_bias.span()) && a.mu == b.mu;
}

constexpr CompletionSolver solvers[] = {CompletionSolver::automatic, CompletionSolver::alternating_exact,
                                        CompletionSolver::conjugate_gradients, CompletionSolver::variable_projection,
                                        CompletionSolver::sketch};

}  // namespace

TEST("complete: the example of the header") {
  const std::vector<std::int32_t> indptr{0, 2, 5, 7}, indices{0, 1, 0, 1, 2, 1, 2};
  const std::vector<double> x{1, 2, 2, 4, 6, 6, 9};
  const CsrView<double, std::int32_t> X{3, 3, indptr, indices, x};
  const Completion fit = complete(X, {}, 1);
  CHECK(fit.status == CompletionStatus::converged);
  const std::vector<std::int64_t> row{0}, col{2};
  std::vector<double> value(1);
  predict(fit.model, row, col, value);
  CHECK(std::abs(value[0] - 3) < 1e-7);
}

TEST("complete: every solver finds a matrix of low rank") {
  const Instance instance(60, 50, 3, 0.5, 1);
  for (const CompletionSolver solver : solvers) {
    const Completion fit = complete(instance.X(), {}, 3, {.solver = solver});
    CHECK(fit.status == CompletionStatus::converged);
    CHECK(instance.error(fit.model) < 1e-5);
  }
}

TEST("complete: with weights, which do not matter without noise") {
  const Instance instance(60, 50, 3, 0.5, 2);
  for (const CompletionSolver solver : solvers) {
    const Completion fit = complete(instance.X(), instance.weights, 3, {.solver = solver});
    CHECK(instance.error(fit.model) < 1e-5);
  }
}

TEST("complete: biases and factors") {
  const Instance instance(70, 60, 2, 0.5, 3, 0, 1);
  for (const CompletionSolver solver : solvers) {
    const Completion fit = complete(instance.X(), {}, 2, {.biases = true, .solver = solver});
    CHECK(fit.model.has_biases());
    CHECK(instance.error(fit.model) < 1e-5);
  }
}

TEST("complete: the same bits for every number of threads") {
  const Instance instance(400, 300, 4, 0.2, 4, 0.01, 1);
  for (const CompletionSolver solver : solvers) {
    const CompletionOptions options{.lam = 0.1, .biases = true, .solver = solver, .maxiter = 20};
    const Completion one = complete(instance.X(), instance.weights, 4, options, {}, {.n_threads = 1});
    for (const int threads : {2, 4})
      CHECK(
          are_equal(one.model, complete(instance.X(), instance.weights, 4, options, {}, {.n_threads = threads}).model));
  }
}

TEST("complete: factors are balanced, and the singular values theirs") {
  const Instance instance(60, 50, 3, 0.5, 5, 0.1);
  const Completion fit = complete(instance.X(), {}, 3, {.lam = 0.5});
  for (const MatrixView<double> factor : {fit.model.U(), fit.model.V()})
    for (Index p = 0; p < 3; ++p)
      for (Index q = 0; q < 3; ++q) {
        double sum = 0;
        for (Index i = 0; i < factor.rows(); ++i) sum += factor(i, p) * factor(i, q);
        CHECK(std::abs(sum - (p == q ? fit.model.singular_values[p] : 0)) < 1e-10 * fit.model.singular_values[0]);
      }
}

TEST("complete: a factor 2^200 changes nothing but scale") {
  Instance small(40, 30, 2, 0.6, 6, 0.1), large = small;
  for (double& x : large.data) x = std::ldexp(x, 200);
  const Completion first = complete(small.X(), {}, 2, {.lam = 0.5});
  const Completion second = complete(large.X(), {}, 2, {.lam = std::ldexp(0.5, 200)});
  for (Index t = 0; t < first.model.left.size(); ++t)
    CHECK(std::ldexp(first.model.left[t], 100) == second.model.left[t]);
}

TEST("fold_in: a line of the matrix becomes what it was") {
  const Instance instance(60, 50, 3, 0.5, 7, 0.1, 1);
  const double lam = 0.3;
  const Completion fit =
      complete(instance.X(), instance.weights, 3, {.lam = lam, .biases = true, .tol = 1e-14, .maxiter = 5000});
  std::vector<double> factors(60 * 3), biases(60);
  fold_in(fit.model, instance.X(), instance.weights, {factors.data(), 60, 3}, biases, {.lam = lam});
  for (std::size_t t = 0; t < factors.size(); ++t)
    CHECK(std::abs(factors[t] - fit.model.left[static_cast<Index>(t)]) < 1e-5);
  for (std::size_t i = 0; i < 60; ++i) CHECK(std::abs(biases[i] - fit.model.row_bias[static_cast<Index>(i)]) < 1e-5);
}

TEST("complete: the best model on validation entries is returned") {
  const Instance instance(60, 50, 3, 0.4, 8, 1.0);
  const std::vector<std::int64_t> rows{0, 5, 10, 20, 30, 40}, cols{1, 2, 3, 4, 5, 6};
  std::vector<double> values;
  for (std::size_t e = 0; e < rows.size(); ++e) values.push_back(instance.truth(rows[e], cols[e]));
  const Completion fit = complete(instance.X(), {}, 3, {.lam = 0.1}, {rows, cols, values});
  double best = fit.history.front().validation_rmse;
  for (const CompletionStep& step : fit.history) best = std::min(best, step.validation_rmse);
  CHECK(fit.validation_rmse == best);
  std::vector<double> predicted(values.size());
  predict(fit.model, rows, cols, predicted);
  double sum = 0;
  for (std::size_t e = 0; e < values.size(); ++e) sum += (predicted[e] - values[e]) * (predicted[e] - values[e]);
  CHECK(std::abs(std::sqrt(sum / static_cast<double>(values.size())) - best) < 1e-10);
}

TEST("complete: a callback sees every step and ends the fit") {
  const Instance instance(60, 50, 3, 0.5, 9, 0.1);
  Index seen = 0;
  const Completion fit = complete(instance.X(), {}, 3, {.lam = 0.1, .callback = [&](const CompletionStep& step) {
                                                          ++seen;
                                                          return step.iteration < 3;
                                                        }});
  CHECK(seen == 3 && fit.iterations == 3 && fit.status == CompletionStatus::stopped);
}

TEST("complete: keep_going stops the call") {
  const Instance instance(400, 300, 4, 0.3, 10, 0.1);
  CHECK_THROWS((void)complete(instance.X(), {}, 4, {.tol = 0, .maxiter = 1000000}, {},
                              {.keep_going = [](double) { return false; }}),
               interrupted, "");
}

TEST("recommend: the largest entries of a row that were not seen") {
  const Instance instance(20, 15, 2, 0.7, 11);
  const Completion fit = complete(instance.X(), {}, 2);
  std::vector<Index> cols(4);
  std::vector<double> values(4);
  const std::span<const std::int64_t> seen(instance.indices.data(), static_cast<std::size_t>(instance.indptr[1]));
  recommend(fit.model, 0, seen, cols, values);
  for (std::size_t r = 0; r < 4; ++r) {
    CHECK(std::ranges::find(seen, cols[r]) == seen.end());
    CHECK(r == 0 || values[r] <= values[r - 1]);
    CHECK(std::abs(values[r] - instance.truth(0, cols[r])) < 1e-5);
  }
}

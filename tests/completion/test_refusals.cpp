#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "nearlinear/completion.hpp"

using namespace nearlinear;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A full 4 x 3 matrix.
struct Full {
  std::vector<std::int32_t> indptr{0, 3, 6, 9, 12}, indices{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
  std::vector<double> data{1, 2, 3, 2, 4, 6, 3, 6, 9, 4, 8, 12};
  [[nodiscard]] CsrView<double, std::int32_t> X() const { return {4, 3, indptr, indices, data}; }
};

Completion fit(const Full& full, Index rank = 1, const CompletionOptions& options = {},
               std::span<const double> weights = {}, const ValidationEntries& validation = {}) {
  return complete(full.X(), weights, rank, options, validation);
}

}  // namespace

#define REFUSES(call, message) CHECK_THROWS((void)call, std::invalid_argument, message)

TEST("complete: options out of range") {
  const Full full;
  REFUSES(fit(full, 0), "rank is 0; it must be at least 1");
  REFUSES(fit(full, 4), "rank is 4 and X is 4 x 3");
  REFUSES(fit(full, 1, {.lam = -1}), "lam is -1");
  REFUSES(fit(full, 1, {.lam = not_a_number}), "lam is nan");
  REFUSES(fit(full, 1, {.tol = -1}), "tol is -1");
  REFUSES(fit(full, 1, {.maxiter = 0}), "maxiter is 0");
  REFUSES(fit(full, 1, {.patience = 0}), "patience is 0");
  REFUSES(fit(full, 1, {.biases = true, .nonnegative = true}), "has no biases");
  REFUSES(fit(full, 1, {.biases = true, .implicit = true}), "has no biases");
  REFUSES(fit(full, 1, {.nonnegative = true, .solver = CompletionSolver::sketch}), "needs the solver `als`");
  REFUSES(fit(full, 1, {.implicit = true, .solver = CompletionSolver::variable_projection}),
          "cannot be fitted by the solver `vp`");
}

TEST("complete: entries that cannot be observed") {
  Full full;
  full.data[4] = not_a_number;
  REFUSES(fit(full), "X has the entry nan in row 1, column 1");
  full = Full{};
  full.indices[7] = 3;
  REFUSES(fit(full), "X");
  full = Full{};
  full.indices[7] = 0;
  REFUSES(fit(full), "X holds the entry in row 2, column 0 2 times; say by `duplicates`");
  const std::vector<double> few(3, 1.0), negative{1, 1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1};
  REFUSES(fit(Full{}, 1, {}, few), "weights has 3 entries and X stores 12");
  REFUSES(fit(Full{}, 1, {}, negative), "row 1, column 2 has the weight -1");
  full = Full{};
  full.data[5] = -6;
  REFUSES(fit(full, 1, {.nonnegative = true}), "X has the entry -6 in row 1, column 2; a non-negative model");
  REFUSES(fit(full, 1, {.lam = 1, .implicit = true}), "X has the entry -6 in row 1, column 2; implicit feedback");
}

TEST("complete: too few entries") {
  Full full;
  full.indptr = {0, 3, 4, 7, 10};
  full.indices = {0, 1, 2, 0, 0, 1, 2, 0, 1, 2};
  full.data.resize(10);
  REFUSES(fit(full, 2), "row 1 has 1 of the 2 entries that its unknowns need, as have 1 rows in all");
  const std::vector<double> nothing(12, 0.0);
  REFUSES(fit(Full{}, 1, {.lam = 1}, nothing), "X has no observed entry");
}

TEST("complete: validation entries") {
  const std::vector<std::int64_t> rows{0, 4}, cols{0, 0}, one{0};
  const std::vector<double> values{1, 1}, bad{1, not_a_number};
  REFUSES(fit(Full{}, 1, {}, {}, {one, cols, values}), "validation has 1 rows");
  REFUSES(fit(Full{}, 1, {}, {}, {rows, cols, values}), "validation has the row 4 at index 1");
  REFUSES(fit(Full{}, 1, {}, {}, {cols, cols, bad}), "validation has the value nan at index 1");
}

TEST("predict, recommend and fold_in: what they refuse") {
  const Full full;
  const Completion found = complete(full.X(), {}, 1);
  const std::vector<std::int64_t> inside{0}, outside{4};
  std::vector<double> value(1), two(2);
  std::vector<Index> at(1), many(3);
  CHECK_THROWS(predict(found.model, outside, inside, value), std::invalid_argument, "rows has the entry 4 at index 0");
  CHECK_THROWS(predict(found.model, inside, outside, value), std::invalid_argument, "cols has the entry 4 at index 0");
  CHECK_THROWS(predict(found.model, inside, inside, two), std::invalid_argument, "values has 2");
  CHECK_THROWS(recommend(found.model, 4, {}, at, value), std::invalid_argument, "row is 4");
  std::vector<double> three(3);
  CHECK_THROWS(recommend(found.model, 0, inside, many, three), std::invalid_argument, "3 columns are asked for, and 2");
  std::vector<double> factors(4);
  CHECK_THROWS(fold_in(found.model, full.X(), {}, {factors.data(), 4, 1}, {}, {.axis = FoldAxis::cols}),
               std::invalid_argument, "a new column of the model has 4 entries");
  CHECK_THROWS(fold_in(found.model, full.X(), {}, {factors.data(), 3, 1}, {}), std::invalid_argument,
               "factors is 3 x 1; it must be 4 x 1");
  CHECK_THROWS(fold_in(found.model, full.X(), {}, {factors.data(), 4, 1}, {}, {.lam = -1}), std::invalid_argument,
               "lam is -1");
}

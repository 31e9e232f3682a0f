// Any bytes make a matrix, valid or not, and options: the fit must be refused, or be a model of finite numbers that is
// no worse than nothing, predicts what its factors say and takes up its own rows.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "linalg/fuzz_inputs.hpp"
#include "nearlinear/completion.hpp"

namespace {

using nearlinear::Index;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Entries {
  Index rows, cols;
  std::vector<std::int64_t> indptr{0}, indices;
  std::vector<double> data, weights;

  [[nodiscard]] nearlinear::CsrView<double, std::int64_t> view() const { return {rows, cols, indptr, indices, data}; }
};

Entries entries_of(nearlinear::test::FuzzInput& read) {
  Entries X{1 + read() % 12, 1 + read() % 12, {0}, {}, {}, {}};
  const bool is_valid = read() % 8 != 0, has_weights = read() % 3 == 0;
  const double spread = read() % 3 == 0 ? 60 : 0;
  for (Index i = 0; i < X.rows; ++i) {
    for (Index j = 0; j < X.cols; ++j) {
      const int kind = read() % 8;
      if (kind >= 5) continue;
      X.indices.push_back(kind == 4 && !is_valid ? read() % 16 - 2 : j);
      X.data.push_back((read() % 16 - (is_valid && kind == 3 ? 0 : 7)) * std::pow(10.0, spread * (read() % 3 - 1)));
      if (has_weights) X.weights.push_back(read() % 4);
    }
    X.indptr.push_back(std::ssize(X.data));
  }
  return X;
}

bool is_finite(const nearlinear::LowRankModel& model) {
  for (const auto* part : {&model.left, &model.right, &model.singular_values, &model.row_bias, &model.col_bias})
    if (!std::all_of(part->begin(), part->end(), [](double x) { return std::isfinite(x); })) return false;
  return std::isfinite(model.mu);
}

void check_model(const Entries& X, const nearlinear::Completion& fit, const nearlinear::CompletionOptions& options) {
  const nearlinear::LowRankModel& model = fit.model;
  require(is_finite(model));
  for (Index r = 1; r < model.rank; ++r) require(model.singular_values[r] <= model.singular_values[r - 1]);
  if (options.nonnegative) {
    require(std::all_of(model.left.begin(), model.left.end(), [](double x) { return x >= 0; }));
    require(std::all_of(model.right.begin(), model.right.end(), [](double x) { return x >= 0; }));
  }
  std::vector<std::int64_t> rows(static_cast<std::size_t>(X.cols)), cols;
  std::vector<double> values(static_cast<std::size_t>(X.cols)), best(1);
  for (Index j = 0; j < X.cols; ++j) cols.push_back(j);
  nearlinear::predict(model, rows, cols, values);
  std::vector<Index> first(1);
  nearlinear::recommend(model, 0, {}, first, best);
  const double largest = *std::max_element(values.begin(), values.end());
  double size = std::abs(model.mu);  // of what is added: it may cancel
  for (const double bias : model.row_bias) size = std::max(size, std::abs(bias));
  for (const double bias : model.col_bias) size = std::max(size, std::abs(bias));
  for (const double value : values) size = std::max(size, std::abs(value));
  require(best[0] >= largest - 1e-6 * size);
  std::vector<double> factors(static_cast<std::size_t>(X.rows * model.rank)),
      biases(static_cast<std::size_t>(model.row_bias.size()));
  nearlinear::fold_in(model, X.view(), X.weights, {factors.data(), X.rows, model.rank}, biases,
                      {.lam = options.lam, .nonnegative = options.nonnegative, .implicit = options.implicit});
  require(std::all_of(factors.begin(), factors.end(), [](double x) { return std::isfinite(x); }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  nearlinear::test::FuzzInput read{data, size};
  const Entries X = entries_of(read);
  nearlinear::CompletionOptions options;
  options.lam = read() % 3;
  options.biases = read() % 3 == 0;
  options.nonnegative = read() % 8 == 0;
  options.implicit = read() % 8 == 0;
  options.solver = static_cast<nearlinear::CompletionSolver>(read() % 5);
  options.homotopy = static_cast<nearlinear::Homotopy>(read() % 3);
  options.underdetermined = static_cast<nearlinear::Underdetermined>(read() % 3);
  options.duplicates = static_cast<nearlinear::DuplicateEntries>(read() % 4);
  options.maxiter = 40;
  options.seed = read();
  const Index rank = read() % 6 - 1;
  try {
    const nearlinear::Completion fit = nearlinear::complete(X.view(), X.weights, rank, options);
    check_model(X, fit, options);
  } catch (const std::invalid_argument&) {  // of what the bytes have made, much must be refused
  }
  return 0;
}

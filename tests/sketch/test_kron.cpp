#include <cmath>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "nearlinear/sketch/kron.hpp"

using namespace nearlinear;

namespace {

/// Factors of the given shapes with normal entries, and b for them.
struct KronProblem {
  std::vector<std::vector<double>> entries;
  std::vector<MatrixView<const double>> factors;
  std::vector<Index> sizes;
  std::vector<double> b;
  Index cols = 1;

  explicit KronProblem(const std::vector<Shape>& shapes) {
    Index n = 1;
    std::uint64_t stream = 0;
    for (const auto& [rows, columns] : shapes) {
      entries.push_back(normal_numbers(rows * columns, stream++));
      factors.emplace_back(entries.back().data(), rows, columns);
      sizes.push_back(rows);
      n *= rows;
      cols *= columns;
    }
    b = normal_numbers(n, stream);
  }

  static std::vector<double> normal_numbers(Index count, std::uint64_t stream) {
    std::vector<double> result(static_cast<std::size_t>(count));
    const RandomStream numbers(7, stream);
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = numbers.normal(i);
    return result;
  }

  /// Entry (row, col) of the product that is never formed.
  [[nodiscard]] double product(Index row, Index col) const {
    double result = 1;
    for (std::size_t t = factors.size(); t-- > 0;) {
      const auto& factor = factors[t];
      result *= factor(row % factor.rows(), col % factor.cols());
      row /= factor.rows();
      col /= factor.cols();
    }
    return result;
  }

  /// |A^T (A x - b)|, which is 0 for the solution, over |b|; and |A x - b|.
  [[nodiscard]] std::pair<double, double> optimality(std::span<const double> x) const {
    std::vector<double> gradient(static_cast<std::size_t>(cols));
    double square = 0, size = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
      double r = -b[i];
      for (Index j = 0; j < cols; ++j) r += product(static_cast<Index>(i), j) * x[static_cast<std::size_t>(j)];
      for (Index j = 0; j < cols; ++j) gradient[static_cast<std::size_t>(j)] += product(static_cast<Index>(i), j) * r;
      square += r * r;
      size += b[i] * b[i];
    }
    double norm = 0;
    for (const double entry : gradient) norm += entry * entry;
    return {std::sqrt(norm / size), std::sqrt(square)};
  }

  [[nodiscard]] KronLstsqResult<double> solve(const KronLstsqOptions& options = {}, const RunOptions& run = {}) const {
    return kron_lstsq<double>(factors, b, options, run);
  }
};

}  // namespace

TEST("the examples of kron's header") {
  const std::vector<double> a{2, 0, 0, 4}, c{1, 1}, b{2, 4, 8, 8};
  const MatrixView<const double> factors[] = {{a.data(), 2, 2}, {c.data(), 2, 1}};
  const auto result = kron_lstsq<double>(factors, b);
  CHECK(std::abs(result.x[0] - 1.5) < 1e-14);
  CHECK(std::abs(result.x[1] - 2) < 1e-14);
  CHECK(std::abs(result.residual_norm - std::sqrt(2.0)) < 1e-14);
  CHECK(result.rank == 2);

  std::vector<double> sa(std::size_t{64} * 2);
  tensor_srht<double>(factors, 7, {sa.data(), 64, 2});
  double square = 0;
  for (std::size_t k = 0; k < 64; ++k) square += sa[2 * k] * sa[2 * k];
  CHECK(std::abs(square - 8) < 8);  // |A e_1|^2 = 2^2 (1 + 1)
  CHECK(square > 0);
}

TEST("the gradient of the exact solution is zero, for any number of factors") {
  for (const auto& shapes : {std::vector<Shape>{{9, 3}},
                             {{8, 2}, {5, 3}},
                             {{4, 2}, {6, 3}, {5, 2}},
                             {{5, 2}, {9, 2}, {4, 2}},
                             {{3, 2}, {2, 4}}}) {
    const KronProblem problem(shapes);
    const auto result = problem.solve();
    const auto [gradient, residual] = problem.optimality(result.x.span());
    CHECK(gradient < 1e-12);
    CHECK(std::abs(result.residual_norm - residual) < 1e-12);
    Index rank = 1;
    for (const auto& [rows, cols] : shapes) rank *= std::min(rows, cols);
    CHECK(result.rank == rank);
  }
}

TEST("with many rows, sketches come close to the minimum") {
  const KronProblem problem({{30, 3}, {40, 2}});
  const double least = problem.solve().residual_norm;
  for (const auto method : {KronMethod::tensor_srht, KronMethod::sampling}) {
    const auto result = problem.solve({.method = method, .sketch_rows = 600, .seed = 1});
    const double residual = problem.optimality(result.x.span()).second;
    CHECK(residual >= least);
    CHECK(residual < 1.03 * least);
    CHECK(result.rank == 6);
  }
}

TEST("the sketch of a vector is that of a matrix with one column") {
  for (const auto& shapes : {std::vector<Shape>{{9, 1}}, {{8, 1}, {5, 1}}, {{4, 1}, {6, 1}, {5, 1}, {3, 1}, {2, 1}}}) {
    const KronProblem problem(shapes);
    std::vector<double> column(problem.b.size()), first(11), second(11);
    for (std::size_t i = 0; i < column.size(); ++i) column[i] = problem.product(static_cast<Index>(i), 0);
    tensor_srht<double>(problem.factors, 3, {first.data(), 11, 1});
    tensor_srht_vector<double>(problem.sizes, column, 3, second);
    double error = 0, size = 0;
    for (std::size_t k = 0; k < 11; ++k) {
      error = std::max(error, std::abs(first[k] - second[k]));
      size = std::max(size, std::abs(first[k]));
    }
    CHECK(error <= 1e-13 * size);
    CHECK(size > 0);
    std::vector<double> product(11);
    tensor_srht_khatri_rao<double>(problem.factors, 3, {product.data(), 11, 1});
    for (std::size_t k = 0; k < 11; ++k) CHECK(std::abs(product[k] - first[k]) <= 1e-14 * size);
  }
}

TEST("kron_lstsq stops when its caller wants it to, and survives a lack of memory") {
  const KronProblem large({{20000, 200}, {1, 1}}), small({{30, 3}, {40, 2}, {5, 2}});
  for (const auto method : {KronMethod::exact, KronMethod::tensor_srht, KronMethod::sampling}) {
    const KronLstsqOptions options{.method = method, .sketch_rows = method == KronMethod::exact ? 0 : 20000};
    const auto refuse = [](double) { return false; };
    CHECK_THROWS((void)large.solve(options, {.n_threads = 1, .keep_going = refuse}), interrupted, "stopped");
    double last = 0;
    bool is_fraction = true;
    const auto watch = [&](double done) {
      is_fraction = is_fraction && done >= 0 && done <= 1;
      last = done;
      return true;
    };
    (void)large.solve(options, {.n_threads = 1, .keep_going = watch});
    CHECK(is_fraction);
    CHECK(last > 0);
    CHECK(check::count_survived_allocation_failures([&] { (void)small.solve({.method = method}, {.n_threads = 1}); }) >
          10);
  }
}

TEST("kron_lstsq and tensor_srht name what is wrong") {
  KronProblem problem({{6, 3}, {4, 2}});
  const std::vector<MatrixView<const double>> none;
  CHECK_THROWS((void)kron_lstsq<double>(none, problem.b), std::invalid_argument, "there are no factors");
  CHECK_THROWS((void)problem.solve({.method = KronMethod::sampling, .sketch_rows = 5}), std::invalid_argument,
               "sketch_rows is 5 but the factors have 6 columns");
  const std::vector<double> short_b(23);
  CHECK_THROWS((void)kron_lstsq<double>(problem.factors, short_b), std::invalid_argument,
               "b has 23 entries but the factors have 24 rows");
  const KronEntries<double> entries = [](MatrixView<const Index>, std::span<double>) {};
  CHECK_THROWS((void)kron_lstsq<double>(problem.factors, entries, {}), std::invalid_argument, "must be sampling");
  problem.b[20] = NAN;
  CHECK_THROWS((void)problem.solve(), std::invalid_argument, "b holds NaN");
  problem.entries[1][3] = INFINITY;
  CHECK_THROWS((void)problem.solve(), std::invalid_argument, "factors[1] holds NaN or infinities");
  std::vector<double> sketch(60);
  CHECK_THROWS(tensor_srht<double>(problem.factors, 0, {sketch.data(), 10, 5}), std::invalid_argument,
               "SA is 10 x 5 but the factors have 6 columns");
  CHECK_THROWS(tensor_srht<double>(problem.factors, 0, {sketch.data(), 0, 6}), std::invalid_argument, "0 rows");
  CHECK_THROWS(tensor_srht_khatri_rao<double>(problem.factors, 0, {sketch.data(), 10, 3}), std::invalid_argument,
               "factors[1] is 4 x 2 and SA is 10 x 3");
  const std::vector<Index> sizes{4, 0};
  CHECK_THROWS(tensor_srht_vector<double>(sizes, sketch, 0, sketch), std::invalid_argument, "sizes[1] is 0");
  const std::vector<Shape> wide{{2, 3}, {4, 2}};
  CHECK_THROWS((void)KronProblem(wide).solve({.method = KronMethod::tensor_srht}), std::invalid_argument,
               "factors[0] is 2 x 3; it must not have fewer rows");
}

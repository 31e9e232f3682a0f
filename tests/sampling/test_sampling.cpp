#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/sampling.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;

namespace {

constexpr RowScore scores_by_name[] = {RowScore::uniform, RowScore::leverage,    RowScore::root_leverage,
                                       RowScore::lewis,   RowScore::sensitivity, RowScore::sensitivity_leverage};

/// Normal entries times a factor for each row that is 30 now and then; every ninth row is 0.
Matrix<double> uneven_matrix(Index n, Index d, std::uint64_t seed, Index gaps = 0) {
  Matrix<double> A = test::random_matrix<double>(n, d, seed, gaps);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) A(i, j) *= i % 9 == 4 ? 0 : i % 23 == 0 ? 30 : 1;
  return A;
}

/// The same matrix in the four forms that it can be stored in.
struct Forms {
  Matrix<double> A, transposed;
  std::vector<std::int32_t> indptr32{0}, indices32;
  std::vector<std::int64_t> indptr64{0}, indices64;
  std::vector<double> data;

  explicit Forms(Matrix<double> matrix) : A(std::move(matrix)), transposed(A.cols(), A.rows(), 1) {
    for (Index i = 0; i < A.rows(); ++i) {
      for (Index j = 0; j < A.cols(); ++j) {
        transposed(j, i) = A(i, j);
        if (A(i, j) == 0) continue;
        indices32.push_back(static_cast<std::int32_t>(j));
        indices64.push_back(j);
        data.push_back(A(i, j));
      }
      indptr32.push_back(static_cast<std::int32_t>(data.size()));
      indptr64.push_back(std::ssize(data));
    }
  }
  [[nodiscard]] StoredMatrix dense() const { return A.view(); }
  [[nodiscard]] std::vector<StoredMatrix> all() const {
    return {A.view(), TransposedView{transposed.view()},
            CsrView<double, std::int32_t>{A.rows(), A.cols(), indptr32, indices32, data},
            CsrView<double, std::int64_t>{A.rows(), A.cols(), indptr64, indices64, data}};
  }
};

/// a_i^T (A^T diag(v) A)^{-1} a_i for every row, by Gauss and Jordan in extended precision.
std::vector<double> quadratic_forms(const Matrix<double>& A, std::span<const double> v) {
  const auto d = static_cast<std::size_t>(A.cols());
  std::vector<std::vector<long double>> G(d, std::vector<long double>(2 * d));
  for (std::size_t j = 0; j < d; ++j) {
    G[j][d + j] = 1;
    for (Index i = 0; i < A.rows(); ++i)
      for (std::size_t k = 0; k < d; ++k)
        G[j][k] += static_cast<long double>(v[static_cast<std::size_t>(i)]) * A(i, static_cast<Index>(j)) *
                   A(i, static_cast<Index>(k));
  }
  for (std::size_t j = 0; j < d; ++j) {
    const long double pivot = G[j][j];
    for (long double& entry : G[j]) entry /= pivot;
    for (std::size_t i = 0; i < d; ++i) {
      const long double factor = i == j ? 0 : G[i][j];
      for (std::size_t k = 0; k < 2 * d; ++k) G[i][k] -= factor * G[j][k];
    }
  }
  std::vector<double> forms;
  for (Index i = 0; i < A.rows(); ++i) {
    long double sum = 0;
    for (std::size_t j = 0; j < d; ++j)
      for (std::size_t k = 0; k < d; ++k)
        sum += A(i, static_cast<Index>(j)) * G[j][d + k] * A(i, static_cast<Index>(k));
    forms.push_back(static_cast<double>(sum));
  }
  return forms;
}

double distance(std::span<const double> x, std::span<const double> y) {
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

/// sum_i w_i |a_i^T x|^p over some rows.
double powers(const Matrix<double>& A, std::span<const Index> rows, std::span<const double> w,
              std::span<const double> x, double p) {
  double sum = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    double y = 0;
    for (Index j = 0; j < A.cols(); ++j) y += A(rows[k], j) * x[static_cast<std::size_t>(j)];
    sum += w[k] * std::pow(std::abs(y), p);
  }
  return sum;
}

std::vector<Index> all_rows(Index n) {
  std::vector<Index> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index{0});
  return rows;
}

}  // namespace

TEST("leverage scores are quadratic forms, in every form of storage") {
  const Forms forms(uneven_matrix(300, 5, 1, 2));
  const std::vector<double> ones(300, 1.0), wanted = quadratic_forms(forms.A, ones);
  for (const StoredMatrix& A : forms.all()) {
    std::vector<double> scores(300), sketched(300), damped(300);
    const LeverageResult result = leverage_scores(A, scores);
    CHECK(result.rank == 5 && result.condition >= 1 && result.condition < 3);
    CHECK(distance(scores, wanted) < 1e-13);
    leverage_scores(A, sketched, {.method = LeverageMethod::sketch, .seed = 3});
    leverage_scores(A, damped, {.ridge = 1e4});
    for (std::size_t i = 0; i < 300; ++i) CHECK(sketched[i] <= 4 * wanted[i] && sketched[i] >= 0.25 * wanted[i]);
    for (std::size_t i = 0; i < 300; ++i) CHECK(damped[i] <= wanted[i]);
  }
  CHECK(forms.A.gaps_are_untouched());
}

TEST("Lewis weights are the leverage scores of the rows that they scale") {
  const Forms forms(uneven_matrix(200, 4, 2));
  for (const double p : {1.0, 1.5, 3.0, 4.0, 8.0}) {
    for (const StoredMatrix& A : forms.all()) {
      std::vector<double> weights(200), v(200);
      const LewisResult result = lewis_weights(A, p, weights, {.tol = 1e-10});
      CHECK(result.status == LewisStatus::converged && result.certificate <= 1e-10 && result.iterations < 100);
      for (std::size_t i = 0; i < 200; ++i) v[i] = weights[i] > 0 ? std::pow(weights[i], 1 - 2 / p) : 0;
      const std::vector<double> forms_of_rows = quadratic_forms(forms.A, v);
      for (std::size_t i = 0; i < 200; ++i) CHECK(std::abs(v[i] * forms_of_rows[i] - weights[i]) <= 1e-9 * weights[i]);
      CHECK(lewis_certificate(A, p, weights) < 1e-9);
      weights[0] *= 2;
      CHECK(lewis_certificate(A, p, weights) > 0.1);
      weights[0] = 0;
      CHECK(std::isinf(lewis_certificate(A, p, weights)));
    }
  }
  std::vector<double> weights(200);
  const LewisResult stopped = lewis_weights(forms.dense(), 8, weights, {.tol = 1e-10, .maxiter = 2});
  CHECK(stopped.status == LewisStatus::maxiter && stopped.iterations == 2 && stopped.certificate > 1e-10);
}

TEST("sensitivities are attained, bounded and never exceeded") {
  const Forms forms(uneven_matrix(180, 3, 3));
  const std::vector<Index> rows = all_rows(180);
  const std::vector<double> ones(180, 1.0);
  const RandomStream random(5, 0);
  std::vector<double> leverage(180), weights(180);
  leverage_scores(forms.dense(), leverage);
  for (const double p : {1.0, 1.3, 2.0, 3.0, 5.0}) {
    lewis_weights(forms.dense(), p, weights, {.tol = 1e-8});
    std::vector<double> values(180), estimates(180);
    for (const StoredMatrix& A : forms.all()) {
      const SensitivityResult result = sensitivities(A, p, rows, values);
      CHECK(result.unconverged == 0 && result.gap < 1e-6 && result.programs == (p == 2 ? 0 : 180));
      sensitivities(A, p, rows, estimates, {.method = SensitivityMethod::coreset, .seed = 1});
      CHECK(distance(values, estimates) < 0.05);
    }
    for (std::size_t i = 0; i < 180; ++i) {
      const double most = std::pow(3, std::max(p / 2 - 1, 0.0)) * weights[i];
      CHECK(values[i] <= most * (1 + 1e-6) &&
            values[i] >= std::pow(3, std::min(p / 2 - 1, 0.0)) * weights[i] * 0.999999);
      CHECK(p > 2 || values[i] <= std::pow(leverage[i], p / 2) * (1 + 1e-6));
    }
    for (std::uint64_t k = 0; k < 200; ++k) {
      const std::vector<double> x{random.normal(3 * k), random.normal(3 * k + 1), random.normal(3 * k + 2)};
      const double whole = powers(forms.A, rows, ones, x, p);
      for (const Index i : rows)
        CHECK(powers(forms.A, std::span(&rows[static_cast<std::size_t>(i)], 1), ones, x, p) <=
              whole * values[static_cast<std::size_t>(i)] * (1 + 1e-6));
    }
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const SensitivityEstimate total = total_sensitivity(forms.dense(), p, 60, SensitivityMethod::exact, 2);
    CHECK(std::abs(total.value - sum) <= 4 * total.standard_error + 1e-9);
    const LargestSensitivity largest = max_sensitivity(forms.dense(), p);
    CHECK(std::abs(largest.value - *std::max_element(values.begin(), values.end())) < 1e-6);
    CHECK(values[static_cast<std::size_t>(largest.row)] > largest.value * (1 - 1e-6));
    CHECK(largest.bound <= largest.value * (1 + 1e-5));
    sensitivities(forms.dense(), p, rows, estimates, {.method = SensitivityMethod::bucket, .alpha = 6, .seed = 1});
    Index below = 0;
    for (std::size_t i = 0; i < 180; ++i) below += estimates[i] < values[i] * (1 - 1e-6) ? 1 : 0;
    CHECK(below <= 4);
  }
  for (const RowLoss loss : {RowLoss::huber, RowLoss::logistic}) {
    std::vector<double> few(4);
    const SensitivityResult result =
        sensitivities(forms.dense(), std::numeric_limits<double>::quiet_NaN(), {{0, 1, 2, 4}}, few, {.loss = loss});
    CHECK(result.unconverged == 0);
    for (std::size_t k = 0; k < 3; ++k) CHECK(few[k] > 0 && few[k] <= 1);
  }
}

TEST("probabilities are c s up to 1 and add up to m") {
  const std::vector<double> scores{8, 0, 1, 1, 4, 2};
  std::vector<double> q(6);
  sampling_probabilities(scores, 3, q);
  const std::vector<double> wanted{1, 0, 0.25, 0.25, 1, 0.5};
  CHECK(distance(q, wanted) < 1e-15);
  sampling_probabilities(scores, 1, q);
  CHECK(std::abs(q[0] - 0.5) < 1e-15 && std::abs(std::accumulate(q.begin(), q.end(), 0.0) - 1) < 1e-15);
  sampling_probabilities(scores, 5.5, q);
  for (std::size_t i = 0; i < 6; ++i) CHECK(q[i] == (scores[i] > 0 ? 1 : 0));
  const std::vector<double> extreme{1e150, 1e-150, 1e-150};
  std::vector<double> of_extreme(3);
  sampling_probabilities(extreme, 2, of_extreme);
  CHECK(of_extreme[0] == 1 && std::abs(of_extreme[1] - 0.5) < 1e-15);
  // Where rounding leaves nothing of small scores beside large ones, the search for c still ends.
  std::vector<double> of_two(2);
  sampling_probabilities(std::vector<double>{1, 1e-20}, 1, of_two);
  CHECK(std::abs(of_two[0] - 1) < 1e-15 && of_two[1] >= 0 && of_two[1] < 1e-15);
  CHECK_THROWS(sampling_probabilities(scores, 0, q), std::invalid_argument, "m is 0");
  CHECK_THROWS(sampling_probabilities(scores, 1, of_extreme), std::invalid_argument, "probabilities has 3 entries");
  CHECK_THROWS(sampling_probabilities(std::vector<double>{1, -1}, 1, std::span(q).first(2)), std::invalid_argument,
               "scores has the entry -1 at index 1");
  CHECK_THROWS(sampling_probabilities(std::vector<double>{0, 0}, 1, std::span(q).first(2)), std::invalid_argument,
               "all scores are 0");
}

TEST("samples hold what they say, and estimates are unbiased") {
  const Forms forms(uneven_matrix(250, 3, 4));
  const std::vector<Index> rows = all_rows(250);
  const std::vector<double> ones(250, 1.0), x{1, -2, 0.5};
  for (const double p : {1.0, 2.0, 3.0}) {
    const double whole = powers(forms.A, rows, ones, x, p);
    for (const RowScore score : scores_by_name) {
      const RowSample first = sample_rows(forms.dense(), p, {.score = score, .rows = 80, .seed = 0});
      CHECK(first.score == score && first.scores.size() == 250 && first.probabilities.size() == 250);
      for (Index k = 0; k < first.indices.size(); ++k) {
        CHECK(first.weights[k] == 1 / first.probabilities[first.indices[k]]);
        CHECK(std::abs(std::pow(first.scale[k], p) - first.weights[k]) <= 1e-14 * first.weights[k]);
      }
      const std::vector<double> given(first.scores.begin(), first.scores.end());
      for (const int kind : {0, 1, 2}) {
        double mean = 0, squares = 0;
        constexpr int seeds = 200;
        for (std::uint64_t seed = 1000; seed < 1000 + seeds; ++seed) {
          const RowSample sample = sample_rows(
              forms.dense(), p,
              {.scores = given, .rows = 40, .with_replacement = kind == 1, .exact_size = kind == 2, .seed = seed});
          CHECK(kind == 0 || sample.indices.size() == 40);
          const double ratio = powers(forms.A, sample.indices.span(), sample.weights.span(), x, p) / whole;
          mean += ratio / seeds;
          squares += ratio * ratio / seeds;
        }
        CHECK(std::abs(mean - 1) <= 4 * std::sqrt((squares - mean * mean) / (seeds - 1)) + 1e-12);
      }
    }
  }
  const RowSample every = sample_rows(forms.dense(), 1, {.rows = 250});
  CHECK(every.indices.size() == 250 && every.weights[7] == 1);
  CHECK(embedding_distortion(forms.dense(), 1, every.indices.span(), every.weights.span()) < 1e-12);
  const RowSample recursive = sample_rows(forms.dense(), 1, {.score = RowScore::root_leverage, .rows = 10, .seed = 1});
  CHECK(recursive.indices.size() > 1 && recursive.indices.size() < 30);
  const RowSample by_eps = sample_rows(forms.dense(), 2, {.eps = 0.9, .delta = 0.1, .seed = 1});
  CHECK(by_eps.score == RowScore::leverage);
  for (const StoredMatrix& A : forms.all()) {
    const RowSample sample = sample_rows(A, 1, {.rows = 60, .seed = 2});
    const RowSample same = sample_rows(forms.dense(), 1, {.rows = 60, .seed = 2});
    CHECK(std::equal(sample.indices.begin(), sample.indices.end(), same.indices.begin(), same.indices.end()));
    const double distortion = embedding_distortion(A, 1, sample.indices.span(), sample.weights.span());
    CHECK(distortion > 0.01 && distortion < 0.8);
  }
}

TEST("regression finds medians, least squares and what lies between") {
  const std::vector<double> column(5, 1.0), b{1, 2, 3, 4, 100}, counts{1, 1, 1, 3, 1};
  const StoredMatrix A = MatrixView<const double>(column.data(), 5, 1);
  std::vector<double> x(1);
  const LpRegressionResult median = lp_regression(A, b, 1, {}, x);
  CHECK(std::abs(x[0] - 3) < 1e-6 && std::abs(median.norm - 101) < 1e-5 && median.gap <= 1e-8 && median.rank == 1);
  lp_regression(A, b, 1, counts, x);
  CHECK(std::abs(x[0] - 4) < 1e-6);
  lp_regression(A, b, 2, {}, x);
  CHECK(std::abs(x[0] - 22) < 1e-12);
  const Forms forms(uneven_matrix(120, 3, 6));
  std::vector<double> rhs(120);
  const RandomStream random(7, 0);
  for (std::size_t i = 0; i < 120; ++i) rhs[i] = random.normal(i);
  for (const double p : {1.0, 1.5, 2.0, 4.0}) {
    for (const StoredMatrix& B : forms.all()) {
      std::vector<double> y(3), z(3);
      const LpRegressionResult result = lp_regression(B, rhs, p, {}, y);
      CHECK(result.status == LpRegressionStatus::converged && result.gap <= 1e-8 && result.rank == 3);
      const auto norm_at = [&](std::span<const double> at) {
        double sum = 0;
        for (Index i = 0; i < 120; ++i) {
          double r = -rhs[static_cast<std::size_t>(i)];
          for (Index j = 0; j < 3; ++j) r += forms.A(i, j) * at[static_cast<std::size_t>(j)];
          sum += std::pow(std::abs(r), p);
        }
        return std::pow(sum, 1 / p);
      };
      CHECK(std::abs(norm_at(y) - result.norm) <= 1e-10 * result.norm);
      for (std::size_t j = 0; j < 3; ++j) {
        for (const double step : {-1e-3, 1e-3}) {
          z = y;
          z[j] += step;
          CHECK(norm_at(z) >= result.norm * (1 - 1e-8));
        }
      }
    }
  }
}

TEST("a coreset of a stream does not know of its blocks") {
  const Matrix<double> A = uneven_matrix(900, 3, 8);
  const auto rows = [&](Index begin, Index end) {
    return MatrixView<const double>(A.view().data() + 3 * begin, end - begin, 3);
  };
  StreamingCoreset whole(3, 1, 40, 5), parts(3, 1, 40, 5), first(3, 1, 40, 5), second(3, 1, 40, 5);
  whole.add_rows(0, rows(0, 900));
  for (Index begin = 0; begin < 900; begin += 77) parts.add_rows(begin, rows(begin, std::min<Index>(900, begin + 77)));
  CHECK(parts.to_bytes() == whole.to_bytes());
  const StreamingCoreset copy = StreamingCoreset::from_bytes(whole.to_bytes());
  CHECK(copy.to_bytes() == whole.to_bytes() && copy.stretches() == whole.stretches());
  const CoresetRows result = whole.result();
  CHECK(result.indices.size() == 40 && whole.rows_seen() == 900 && result.view().rows() == 40);
  for (Index k = 0; k < 40; ++k) {
    CHECK(k == 0 || result.indices[k - 1] < result.indices[k]);
    for (Index j = 0; j < 3; ++j) CHECK(result.view()(k, j) == A(result.indices[k], j));
  }
  first.add_rows(500, rows(500, 900));
  second.add_rows(0, rows(0, 500));
  first.merge(second);
  CHECK(first.rows_seen() == 900 && first.stretches().size() == 1 && first.result().indices.size() == 40);
  CHECK(embedding_distortion(A.view(), 1, result.indices.span(), result.weights.span()) < 0.9);
  CHECK_THROWS(first.merge(second), std::invalid_argument, "rows 0 to 499 were taken in before");
  CHECK_THROWS(first.merge(StreamingCoreset(3, 1, 40, 6)), std::invalid_argument, "they must be the same");
  CHECK_THROWS(first.add_rows(899, rows(0, 2)), std::invalid_argument, "rows 899 to 899 were taken in before");
  CHECK_THROWS(first.add_rows(-1, rows(0, 2)), std::invalid_argument, "first_row is -1");
  CHECK_THROWS(first.add_rows(2000, test::random_matrix<double>(2, 4, 0).view()), std::invalid_argument, "A is 2 x 4");
  CHECK_THROWS(StreamingCoreset(0, 1, 40), std::invalid_argument, "there are 0 columns");
  CHECK_THROWS(StreamingCoreset(3, 0.5, 40), std::invalid_argument, "p is 0.5");
  CHECK_THROWS(StreamingCoreset(3, 1, 3), std::invalid_argument, "budget is 3");
  std::vector<std::byte> bytes = whole.to_bytes();
  bytes.pop_back();
  CHECK_THROWS((void)StreamingCoreset::from_bytes(bytes), std::invalid_argument, "not those of a coreset");
}

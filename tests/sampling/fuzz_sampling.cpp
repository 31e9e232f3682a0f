// Any bytes make a matrix, whose scores must be in their ranges, whose samples must be what they say, and a stream,
// whose coreset must come back from its bytes; bytes that are no coreset must be refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <vector>

#include "linalg/fuzz_inputs.hpp"
#include "nearlinear/sampling.hpp"

namespace {

using nearlinear::Index;
using nearlinear::MatrixView;
using nearlinear::StoredMatrix;
using nearlinear::test::FuzzMatrix;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_zero_row(MatrixView<const double> A, Index i) {
  const auto row = A.row(i);
  return std::all_of(row.begin(), row.end(), [](double entry) { return entry == 0; });
}

void check_scores(MatrixView<const double> A, const StoredMatrix& stored, double p) {
  const auto n = static_cast<std::size_t>(A.rows());
  std::vector<double> tau(n), damped(n), weights(n);
  const auto exact = nearlinear::leverage_scores(stored, tau);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    require(tau[i] >= 0 && tau[i] <= 1);
    require(tau[i] == 0 || !is_zero_row(A, static_cast<Index>(i)));
    sum += tau[i];
  }
  require(std::abs(sum - static_cast<double>(exact.rank)) < 1e-3);
  nearlinear::leverage_scores(stored, damped, {.ridge = 0.5});
  const auto lewis = nearlinear::lewis_weights(stored, p, weights, {.tol = 1e-6});
  for (std::size_t i = 0; i < n; ++i) {
    require(damped[i] <= tau[i] + 1e-3 && weights[i] >= 0 && weights[i] <= 1.01);
    require((weights[i] > 0) == !is_zero_row(A, static_cast<Index>(i)));
  }
  require(lewis.status == nearlinear::LewisStatus::converged || lewis.certificate < 1e-2);
}

void check_sensitivities(MatrixView<const double> A, const StoredMatrix& stored, double p, std::uint64_t seed) {
  const std::vector<Index> rows{0, A.rows() / 2, A.rows() - 1};
  std::vector<double> values(3), estimates(3);
  nearlinear::sensitivities(stored, p, rows, values);
  nearlinear::sensitivities(stored, p, rows, estimates,
                            {.method = nearlinear::SensitivityMethod::coreset, .seed = seed});
  for (std::size_t k = 0; k < 3; ++k) {
    require(values[k] >= 0 && values[k] <= 1 && (values[k] > 0) == !is_zero_row(A, rows[k]));
    require(std::abs(values[k] - estimates[k]) <= 1e-3);  // of so few rows, all are in the coreset
  }
}

void check_sample(MatrixView<const double> A, const StoredMatrix& stored, double p,
                  const nearlinear::SampleOptions& options) {
  try {
    const auto sample = nearlinear::sample_rows(stored, p, options);
    for (Index k = 0; k < sample.indices.size(); ++k) {
      require(sample.indices[k] >= 0 && sample.indices[k] < A.rows());
      require(k == 0 || sample.indices[k - 1] < sample.indices[k] || options.with_replacement);
      require(std::isfinite(sample.weights[k]) && sample.weights[k] > 0 && std::isfinite(sample.scale[k]));
    }
    if (sample.indices.size() > 0)
      require(
          std::isfinite(nearlinear::embedding_distortion(stored, p, sample.indices.span(), sample.weights.span(), 10)));
  } catch (const std::invalid_argument&) {  // where all rows are 0, there is nothing to sample
    for (Index i = 0; i < A.rows(); ++i) require(is_zero_row(A, i) || options.score == nearlinear::RowScore::automatic);
  }
}

void check_regression(MatrixView<const double> A, const StoredMatrix& stored, double p, std::span<const double> b) {
  std::vector<double> x(static_cast<std::size_t>(A.cols()));
  const auto result = nearlinear::lp_regression(stored, b, p, {}, x);
  require(std::isfinite(result.norm) && result.gap >= 0 && result.gap <= 1);
  double of_zero = 0;  // x = 0 is no better
  for (const double entry : b) of_zero += std::pow(std::abs(entry), p);
  require(result.norm <= std::pow(of_zero, 1 / p) * (1 + 1e-6));
}

void check_stream(MatrixView<const double> A, double p, Index budget, Index split, std::uint64_t seed) {
  const Index d = A.cols();
  nearlinear::StreamingCoreset whole(d, p, budget, seed), parts(d, p, budget, seed);
  whole.add_rows(0, A);
  parts.add_rows(0, {A.data(), split, d, A.row_stride()});
  parts = nearlinear::StreamingCoreset::from_bytes(parts.to_bytes());
  parts.add_rows(split, {A.data() + split * A.row_stride(), A.rows() - split, d, A.row_stride()});
  require(whole.to_bytes() == parts.to_bytes());
  const auto result = whole.result();
  require(result.indices.size() <= budget);
  for (Index k = 0; k < result.indices.size(); ++k) {
    require(result.weights[k] > 0 && std::isfinite(result.weights[k]));
    for (Index j = 0; j < d; ++j) require(result.view()(k, j) == A(result.indices[k], j));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  try {
    (void)nearlinear::StreamingCoreset::from_bytes({reinterpret_cast<const std::byte*>(data), size});
    require(false);  // the mark at its beginning is not found by chance
  } catch (const std::invalid_argument&) {
  }
  nearlinear::test::FuzzInput read{data, size};
  const Index n = 1 + read() % 60, d = 1 + read() % 6, split = read() % n, m = 1 + read() % 40;
  const auto score = static_cast<nearlinear::RowScore>(read() % 7);
  constexpr double exponents[] = {1, 1.5, 2, 3, 6};
  const double p = exponents[read() % 5], spread = read() % 3;
  const std::uint8_t kind = read(), density = read() % 4;
  FuzzMatrix A(n, d, read() % 3), transposed(d, n, 0);
  for (double& entry : A.storage)
    entry = read() % 4 < density ? 0 : (read() % 16 - 7) * std::pow(10.0, spread * (read() % 4));
  std::vector<double> b(static_cast<std::size_t>(n));
  for (double& entry : b) entry = read() % 16 - 7;
  const FuzzMatrix& a = A;
  std::vector<std::int64_t> indptr{0}, indices;
  std::vector<double> entries;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < d; ++j) {
      transposed.view()(j, i) = a.view()(i, j);
      if (a.view()(i, j) != 0) indices.push_back(j), entries.push_back(a.view()(i, j));
    }
    indptr.push_back(std::ssize(entries));
  }
  const FuzzMatrix& columns = transposed;
  const StoredMatrix forms[] = {a.view(), nearlinear::TransposedView{columns.view()},
                                nearlinear::CsrView<double, std::int64_t>{n, d, indptr, indices, entries}};
  const StoredMatrix& stored = forms[kind % 3];

  check_scores(a.view(), stored, p);
  check_sensitivities(a.view(), stored, p, 5);
  check_sample(a.view(), stored, p,
               {.score = score, .rows = m, .with_replacement = kind % 5 == 0, .exact_size = kind % 5 == 1, .seed = 7});
  check_regression(a.view(), stored, p, b);
  check_stream(a.view(), p, d + 1 + read() % 20, split, 9);
  return 0;
}

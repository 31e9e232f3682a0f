// The singular vectors of what was observed (Jain, Netrapalli and Sanghavi, Low-rank matrix completion using
// alternating minimization, STOC 2013, algorithm 2), and factors in their coordinates.
#include "completion/spectral_start.hpp"

#include <algorithm>
#include <cmath>

#include "core/arithmetic.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/qr.hpp"
#include "nearlinear/linalg/randomized_svd.hpp"
#include "nearlinear/linalg/spectral.hpp"

namespace nearlinear::completion {
namespace {

/// Values of a side without the biases of both; empty if there are none.
Array<double> without_biases(const Side& side, const PaddedFactor& own, const PaddedFactor& other) {
  if (!own.has_bias) return {};
  Array<double> values(side.value.size());
  for (Index i = 0; i < side.lines; ++i)
    for (Index e = side.begin[i]; e < side.begin[i + 1]; ++e)
      values[e] = side.value[e] - own.row(i)[own.rank] - other.row(side.at[e])[other.rank];
  return values;
}

/// Q R = the factor, whose rows are as many as its columns, with zeros, where they are fewer.
struct Orthonormal {
  Array<double> Q;
  Array<double> R;
};

Orthonormal orthonormal(const PaddedFactor& factor, const RunOptions& run) {
  const Index k = factor.rank, lines = std::max(factor.lines, k);
  const Array<double> A = Array<double>::zeros(checked_product(lines, k));
  for (Index i = 0; i < factor.lines; ++i) std::copy_n(factor.row(i), k, A.data() + i * k);
  Orthonormal result{Array<double>(lines * k), Array<double>(k * k)};
  qr_thin<double>({A.data(), lines, k}, {result.Q.data(), lines, k}, {result.R.data(), k, k}, QrMethod::automatic, run);
  return result;
}

/// R_U R_V^T, whose singular values are those of U V^T.
Array<double> core_of(const Orthonormal& U, const Orthonormal& V, Index k) {
  Array<double> core(k * k);
  gemm<double>(1, {U.R.data(), k, k}, Transpose::no, {V.R.data(), k, k}, Transpose::yes, 0, {core.data(), k, k});
  return core;
}

}  // namespace

namespace {

/// The dominant singular vectors of the matrix whose entries from both sides are these, zeros in all other places.
RandomizedSvd<double> dominant(HalfSweeps& sweeps, const double* row_values, const double* col_values, Index rank,
                               std::uint64_t seed, const RunOptions& run) {
  const Side &rows = sweeps.observed().rows, &cols = sweeps.observed().cols;
  const Index lines = std::max<Index>(1, std::max(rows.lines, cols.lines)), stride = ceil_divide(rank + 8, 8) * 8;
  const Array<double> from(checked_product(lines, stride)), to(checked_product(lines, stride));
  const auto product = [&](const Side& side, const double* values) {
    return [&, values](MatrixView<const double> X, MatrixView<double> Y) {
      for (Index j = 0; j < X.rows(); ++j) {
        double* const row = from.data() + j * stride;
        std::copy_n(&X(j, 0), X.cols(), row);
        std::fill(row + X.cols(), row + stride, 0.0);
      }
      sweeps.for_blocks(side, static_cast<double>(4 * stride), [&](Index, Index first, Index count, int) {
        Lines own = lines_of(side, first, count);
        own.value = values;
        kernels().weighted_sums(own, stride, from.data(), to.data() + first * stride);
      });
      for (Index i = 0; i < Y.rows(); ++i) std::copy_n(to.data() + i * stride, Y.cols(), &Y(i, 0));
    };
  };
  const LinearOperator<double> A{rows.lines, cols.lines, product(rows, row_values), product(cols, col_values)};
  double square = 0;
  for (Index e = 0; e < sweeps.observed().nnz(); ++e) square += row_values[e] * row_values[e];
  if (square == 0 || rank == 0) return {};
  // As many vectors as rows of whole registers have places for.
  const RandomizedSvdOptions options{
      .oversampling = stride - rank, .power_iterations = 2, .seed = seed, .frobenius_norm = std::sqrt(square)};
  return randomized_svd<double>(A, rank, options, run);
}

/// What a unit of a singular value of the observed entries is in the whole matrix.
double scale_of(const Observations& observed) {
  return static_cast<double>(observed.rows.lines) * static_cast<double>(observed.cols.lines) /
         static_cast<double>(std::max<Index>(1, observed.nnz()));
}

}  // namespace

double spectral_start(HalfSweeps& sweeps, PaddedFactor& U, PaddedFactor& V, std::uint64_t seed, const RunOptions& run) {
  const Observations& observed = sweeps.observed();
  const Array<double> row_values = without_biases(observed.rows, U, V),
                      col_values = without_biases(observed.cols, V, U);
  const RandomizedSvd<double> svd = dominant(sweeps, U.has_bias ? row_values.data() : observed.rows.value.data(),
                                             U.has_bias ? col_values.data() : observed.cols.value.data(),
                                             std::min({U.rank, U.lines, V.lines}), seed, run);
  if (svd.rank == 0) return 0;
  for (Index r = 0; r < svd.rank; ++r) {
    const double root = std::sqrt(scale_of(observed) * svd.singular_values[r]);
    for (Index i = 0; i < U.lines; ++i) U.row(i)[r] = root * svd.U()(i, r);
    for (Index j = 0; j < V.lines; ++j) V.row(j)[r] = root * svd.V()(j, r);
  }
  return svd.singular_values[0];
}

void revive(HalfSweeps& sweeps, PaddedFactor& U, PaddedFactor& V, std::span<const double> s, double lambda,
            std::uint64_t seed, const RunOptions& run) {
  constexpr double dead = 1e-2;  // of lambda, in the unit of the whole matrix
  const Observations& observed = sweeps.observed();
  const double unit = scale_of(observed);
  Index alive = U.rank;
  while (alive > 0 && s[static_cast<std::size_t>(alive - 1)] < dead * lambda * unit) --alive;
  if (alive == U.rank) return;
  const Array<double> row_errors(observed.nnz()), col_errors(observed.nnz());
  sweeps.residuals(observed.rows, V, U, nullptr, row_errors.data());
  sweeps.residuals(observed.cols, U, V, nullptr, col_errors.data());
  const RandomizedSvd<double> svd =
      dominant(sweeps, row_errors.data(), col_errors.data(), std::min({U.rank - alive, U.lines, V.lines}), seed, run);
  for (Index r = 0; r < svd.rank && svd.singular_values[r] > lambda; ++r) {
    const double root = std::sqrt(unit * (svd.singular_values[r] - lambda));
    for (Index i = 0; i < U.lines; ++i) U.row(i)[alive + r] = -root * svd.U()(i, r);  // errors are model less entry
    for (Index j = 0; j < V.lines; ++j) V.row(j)[alive + r] = root * svd.V()(j, r);
  }
}

Array<double> balance(PaddedFactor& U, PaddedFactor& V, const RunOptions& run) {
  const Index k = U.rank;
  Array<double> s = Array<double>::zeros(k);
  if (k == 0) return s;
  const Orthonormal left = orthonormal(U, run), right = orthonormal(V, run);
  const Array<double> core = core_of(left, right, k), turn_U(k * k), turn_V(k * k);
  if (!svd<double>({core.data(), k, k}, {turn_U.data(), k, k}, s.span(), {turn_V.data(), k, k})) return s;
  const auto multiply = [&](const Orthonormal& basis, const Array<double>& turn, PaddedFactor& factor) {
    for (Index p = 0; p < k; ++p)
      for (Index q = 0; q < k; ++q) turn[p * k + q] *= std::sqrt(s[q]);
    gemm<double>(1, {basis.Q.data(), factor.lines, k}, Transpose::no, {turn.data(), k, k}, Transpose::no, 0,
                 factor.matrix(), run);
  };
  multiply(left, turn_U, U);
  multiply(right, turn_V, V);
  return s;
}

Array<double> singular_values(const PaddedFactor& U, const PaddedFactor& V, const RunOptions& run) {
  const Index k = U.rank;
  Array<double> s = Array<double>::zeros(k);
  if (k == 0) return s;
  const Array<double> core = core_of(orthonormal(U, run), orthonormal(V, run), k);
  if (!svd<double>({core.data(), k, k}, {nullptr, k, 0}, s.span(), {nullptr, k, 0})) std::fill(s.begin(), s.end(), 0.0);
  return s;
}

void clip(PaddedFactor& U, const RunOptions& run) {
  constexpr double incoherence = 2.5;
  if (U.rank == 0) return;
  const Orthonormal basis = orthonormal(U, run);
  const double most = 2 * incoherence * std::sqrt(static_cast<double>(U.rank) / static_cast<double>(U.lines));
  for (Index i = 0; i < U.lines; ++i)
    for (Index k = 0; k < U.rank; ++k) {
      const double entry = basis.Q[i * U.rank + k];
      U.row(i)[k] = std::abs(entry) > most ? 0 : entry;
    }
  const Orthonormal clipped = orthonormal(U, run);
  for (Index i = 0; i < U.lines; ++i) std::copy_n(clipped.Q.data() + i * U.rank, U.rank, U.row(i));
}

}  // namespace nearlinear::completion

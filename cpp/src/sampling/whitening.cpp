#include "sampling/whitening.hpp"

#include <cmath>
#include <limits>

#include "linalg/progress.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear::sampling {
namespace {

using sketch::Preconditioner;
using sketch::Square;

constexpr double unit = std::numeric_limits<double>::epsilon() / 2;

double scaled_condition(const Square& R, const RunOptions& run) {
  const Array<double> lengths(R.size);
  return sketch::estimate_condition(sketch::scale_columns(R, lengths.span()), run).number();
}

/// R_2 R for the Cholesky factor R_2 of R^{-T} (A^T A + lambda I) R^{-1}, as in CholeskyQR2.
std::optional<Square> corrected(Matrix& A, Square R, double ridge, const RunOptions& run) {
  const Index d = R.size;
  const Preconditioner P(std::move(R));
  Square G(d), product(d);
  A.passes().whitened_gram(P, G.view(), {nullptr, d, 0}, run);
  if (ridge > 0) {
    Square inverse(d), identity(d);
    for (Index j = 0; j < d; ++j) identity(j, j) = 1;
    P.apply(identity.view(), inverse.view(), run);
    gemm<double>(ridge, inverse.view(), Transpose::yes, inverse.view(), Transpose::no, 1, G.view(), run);
  }
  const std::optional<Square> second = sketch::cholesky_factor(G, unit, run);
  if (!second) return std::nullopt;
  gemm<double>(1, second->view(), Transpose::no, P.R().view(), Transpose::no, 0, product.view(), run);
  return product;
}

/// R of A over sqrt(lambda) I.
Square by_qr(Matrix& A, double ridge, const RunOptions& run) {
  const Index d = A.cols();
  Square R(d);
  A.passes().qr(R.view(), {nullptr, d, 0}, {}, run);
  if (ridge == 0) return R;
  return sketch::qr_factor<double>(R.view(), {nullptr, d, 0}, ridge, {nullptr, d, 0}, run);
}

/// The columns of V / s for singular values s that count. Without rcond, those of R with its columns scaled to one
/// length.
Whitening by_singular_values(const Square& R, std::optional<double> rcond, double condition, const RunOptions& run) {
  const Index d = R.size;
  const Array<double> lengths(d);
  Square scaled = sketch::scale_columns(R, lengths.span());
  if (rcond) {
    std::copy(R.entries.begin(), R.entries.end(), scaled.entries.begin());
    std::fill(lengths.begin(), lengths.end(), 1.0);
  }
  const sketch::Decomposition svd = sketch::decompose(scaled, {nullptr, d, 0}, run);
  const double least = rcond.value_or(15 * 2 * unit) * svd.s[0];
  Index rank = 0;
  while (rank < d && svd.s[rank] > least && svd.s[rank] > 0) ++rank;
  Array<double> P(d * rank);
  for (Index j = 0; j < d; ++j)
    for (Index k = 0; k < rank; ++k) P[j * rank + k] = svd.V(j, k) / svd.s[k] / lengths[j];
  return {Preconditioner(std::move(P), d, rank), rank, condition, true};
}

}  // namespace

Whitening whiten(Matrix& A, const WhiteningOptions& options, const char* function, const RunOptions& run) {
  const Index d = A.cols();
  linalg::Progress progress(run);
  const auto ridge = [&] { return std::ldexp(options.ridge, -2 * A.exponent()); };
  Square G(d);
  const auto trace = [&] {
    double sum = 0;
    for (Index j = 0; j < d; ++j) sum += G(j, j);
    return sum;
  };
  A.passes().gram(G.view(), {nullptr, d, 0}, {}, progress.part(0, 0.3));
  if (A.fit_scale(trace(), function, progress.part(0.3, 0.35)))
    A.passes().gram(G.view(), {nullptr, d, 0}, {}, progress.part(0.35, 0.5));
  if (trace() == 0 && ridge() == 0) return {Preconditioner(Array<double>(), d, 0), 0, 1, true};
  for (Index j = 0; j < d; ++j) G(j, j) += ridge();
  if (!options.rcond && A.rows() >= d) {
    std::optional<Square> R = sketch::cholesky_factor(G, unit, progress.part(0.5, 0.55));
    if (R) {
      const double condition = scaled_condition(*R, progress.part(0.55, 0.55));
      constexpr double most = 1e7;  // of a factor that a second one corrects
      if (10 * unit * condition * condition <= options.accuracy)
        return {Preconditioner(std::move(*R)), d, condition, false};
      if (condition < most) {
        std::optional<Square> exact = corrected(A, std::move(*R), ridge(), progress.part(0.55, 1));
        if (exact) return {Preconditioner(std::move(*exact)), d, condition, true};
      }
    }
  }
  Square R = by_qr(A, ridge(), progress.part(0.55, 0.95));
  const double condition = scaled_condition(R, progress.part(0.95, 0.95));
  if (!options.rcond && condition < 1 / (15 * 2 * unit)) return {Preconditioner(std::move(R)), d, condition, true};
  return by_singular_values(R, options.rcond, condition, progress.part(0.95, 1));
}

}  // namespace nearlinear::sampling

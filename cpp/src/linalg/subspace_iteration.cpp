// Subspace iteration: a block of orthonormal columns goes through A and A^T in turn. Every pass
//
//     A Z = Q R,    R = X diag(s) Y^T,    A Z Z^T = (Q X) diag(s) (Z Y)^T
//
// gives an approximation of A that projects its rows (in every other pass: its columns) onto the range of Z. By
// orthogonality |A - A Z Z^T|_F^2 = |A|_F^2 - sum s_i^2, and dropping s_i adds s_i^2 to that.
#include "linalg/subspace_iteration.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "linalg/orthonormalise.hpp"
#include "linalg/scaling.hpp"
#include "linalg/signs.hpp"
#include "linalg/small_svd.hpp"
#include "linalg/thin_transposed_product.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear::linalg {
namespace {

constexpr Index most_automatic_passes = 16;
constexpr double settled_change = 1e-3;
constexpr Index first_rank = 16;  // of an adaptive iteration
constexpr Index error_probes = 10;
constexpr std::uint64_t probe_stream = std::uint64_t{1} << 32;  // the blocks of columns have 0, 1, ...

double squared(double x) { return x * x; }

/// Should the QR algorithm or divide and conquer fail, rotations have taken over; they have no known failure.
void require_converged(bool converged) {
  if (!converged) throw std::runtime_error("randomized_svd: the decomposition of a small matrix did not converge");
}

template <class T>
void fill_normal(MatrixView<T> G, std::uint64_t seed, std::uint64_t stream, const RunOptions& run) {
  const RandomStream random(seed, stream);
  RowBlocks{G.rows(), G.cols()}.run(run, 50, [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      for (Index j = 0; j < G.cols(); ++j)
        G(i, j) = static_cast<T>(random.normal(static_cast<std::uint64_t>(i * G.cols() + j)));
  });
}

template <class T>
class SubspaceIteration {
 public:
  SubspaceIteration(const LowRankProblem<T>& problem, Index rank, const RandomizedSvdOptions& options,
                    Progress& progress)
      : problem_(problem),
        options_(options),
        progress_(progress),
        short_side_(std::min(problem.rows, problem.cols)),
        most_rank_(std::min(rank, short_side_)),
        // The error of a product, relative to |A|: that of sums of random signs, with room to spare.
        noise_(16 * std::sqrt(static_cast<double>(std::max(problem.rows, problem.cols))) *
               static_cast<double>(std::numeric_limits<T>::epsilon())),
        transposed_(problem.cols > problem.rows) {}

  RandomizedSvd<T> run() {
    begin();
    for (;;) {
      iterate();
      if (options_.tol == 0) break;
      if (!error_is_known()) estimate_tail();
      if (is_reached() || width() == limit(most_rank_)) break;
      grow();
    }
    if (!error_is_known()) estimate_tail();
    return result();
  }

 private:
  [[nodiscard]] Index width() const { return basis_.cols; }
  [[nodiscard]] Index limit(Index rank) const {
    return std::min(short_side_,
                    rank > short_side_ - options_.oversampling ? short_side_ : rank + options_.oversampling);
  }
  [[nodiscard]] bool is_exact() const { return width() == short_side_ && basis_.rows == short_side_; }

  /// The next part of the call; nobody knows how many there will be.
  RunOptions part() {
    const auto fraction = [](Index part) {
      return 0.05 + 0.9 * static_cast<double>(part) / static_cast<double>(part + 16);
    };
    const double now = fraction(parts_), then = fraction(parts_ + 1);
    ++parts_;
    return progress_.part(now, then);
  }

  void begin() {
    const Index rank = options_.tol > 0 ? std::min(first_rank, most_rank_) : most_rank_;
    basis_ = Factor<T>(short_side_, limit(rank));
    fill_normal(basis_.view(), options_.seed, streams_++, part());
    if (is_exact()) orthonormalise_basis();
  }

  void orthonormalise_basis() {
    const Factor<double> ignored(width(), width());
    orthonormalise(basis_.view(), ignored.view(), part());
  }

  /// Q R = A Z or A^T Z.
  void multiply() {
    image_ = Factor<T>(transposed_ ? problem_.cols : problem_.rows, width());
    problem_.products[transposed_ ? 1 : 0](basis_.view(), image_.view(), part());
    triangle_ = Factor<double>(width(), width());
    orthonormalise(image_.view(), triangle_.view(), part());
    ++passes_;
  }

  /// Z <- Q
  void turn() {
    basis_ = std::exchange(image_, Factor<T>());
    transposed_ = !transposed_;
  }

  void find_singular_values() {
    previous_ = std::exchange(values_, Array<double>(width()));
    const Factor<double> work(width(), width());
    std::copy(triangle_.entries.begin(), triangle_.entries.end(), work.entries.begin());
    require_converged(small_svd(width(), work.entries.data(), nullptr, values_.data(), nullptr,
                                SvdMethod::divide_and_conquer, progress_, 0.9, 0.9));
    double sum = 0;
    for (const double value : values_) sum += squared(value);
    captured_ = sum;
    probed_tail_ = -1;
  }

  void iterate() {
    multiply();
    if (is_exact()) {
      find_singular_values();
      settled_ = true;
      return;
    }
    turn();
    multiply();
    find_singular_values();
    previous_ = Array<double>();
    if (options_.power_iterations != automatic) {
      for (Index pass = 0; pass < 2 * options_.power_iterations; ++pass) {
        turn();
        multiply();
      }
      if (options_.power_iterations > 0) find_singular_values();
      settled_ = nothing_is_left() || has_settled();
      return;
    }
    for (Index pass = 2;; ++pass) {
      settled_ = nothing_is_left() || has_settled();
      if (settled_ || pass >= most_automatic_passes) return;
      if (options_.tol > 0 && error_is_known() && is_reached()) return;
      turn();
      multiply();
      find_singular_values();
    }
  }

  /// sigma_i^2 - s_i^2 <= |A - A Z Z^T|_F^2 for all i, by Weyl's inequality for A A^T = A Z Z^T A^T + (rest)(rest)^T.
  [[nodiscard]] bool nothing_is_left() const {
    if (problem_.frobenius_norm < 0) return false;
    const double left = std::max(0.0, squared(problem_.frobenius_norm) - captured_);
    return left + noise_ * squared(problem_.frobenius_norm) <= settled_change * squared(values_[most_or_width() - 1]);
  }

  [[nodiscard]] bool has_settled() const {
    if (previous_.size() != values_.size()) return false;
    const double scale = settled_change * squared(values_[std::min(most_or_width(), width() - 1)]);
    for (Index i = 0; i < most_or_width(); ++i) {
      const double sum = values_[i] + previous_[i];
      if (!((values_[i] - previous_[i]) * sum <= scale + noise_ * values_[0] * sum)) return false;
    }
    return true;
  }

  [[nodiscard]] Index most_or_width() const { return std::min(most_rank_, width()); }

  /// Whether |A - A Z Z^T|_F^2 is not lost in roundings, or has been estimated.
  [[nodiscard]] bool error_is_known() const {
    return is_exact() || probed_tail_ >= 0 ||
           (problem_.frobenius_norm >= 0 &&
            squared(problem_.frobenius_norm) - captured_ > 2 * noise_ * squared(problem_.frobenius_norm));
  }
  [[nodiscard]] double tail() const {
    if (is_exact()) return 0;
    return probed_tail_ >= 0 ? probed_tail_ : squared(problem_.frobenius_norm) - captured_;
  }
  [[nodiscard]] double frobenius_norm() const {
    return problem_.frobenius_norm >= 0 ? problem_.frobenius_norm : std::sqrt(captured_ + tail());
  }

  /// |A - U diag(s) V^T|_F for the `rank` largest singular values.
  [[nodiscard]] double error(Index rank) const {
    double sum = 0;
    for (Index i = width(); i > rank; --i) sum += squared(values_[i - 1]);
    return std::sqrt(sum + tail());
  }
  [[nodiscard]] bool is_reached() const { return error(most_or_width()) <= options_.tol * frobenius_norm(); }

  /// E |A W|_F^2 / p = |A (I - Z Z^T)|_F^2 for W = (I - Z Z^T) G, G Gaussian with p columns.
  void estimate_tail() {
    const Factor<T> probes(basis_.rows, error_probes), inner(width(), error_probes);
    const Factor<T> products(image_.rows, error_probes);
    fill_normal(probes.view(), options_.seed, probe_stream, part());
    for (int twice = 0; twice < 2; ++twice) {
      thin_transposed_product<T>(basis_.view(), probes.view(), inner.view(), part());
      gemm<T>(-1, basis_.view(), Transpose::no, inner.view(), Transpose::no, 1, probes.view(), part());
    }
    problem_.products[transposed_ ? 1 : 0](probes.view(), products.view(), part());
    ++passes_;
    probed_tail_ = square_sum<T>(products.view(), 0, part()) / error_probes;
  }

  /// Z <- orth (Q, G), with G Gaussian.
  void grow() {
    turn();
    const Index rank = std::min(most_rank_, 2 * std::min(most_rank_, width()));
    const Factor<T> old = std::exchange(basis_, Factor<T>(basis_.rows, limit(rank)));
    const MatrixView<T> fresh(basis_.entries.data() + old.cols, basis_.rows, width() - old.cols, width());
    fill_normal(fresh, options_.seed, streams_++, part());
    for (Index i = 0; i < old.rows; ++i) std::copy_n(&old.view()(i, 0), old.cols, &basis_.view()(i, 0));
    orthonormalise_basis();
  }

  RandomizedSvd<T> result() {
    Index rank = most_or_width();
    const bool converged = options_.tol == 0 || is_reached();
    if (options_.tol > 0 && converged)
      while (rank > 0 && error(rank - 1) <= options_.tol * frobenius_norm()) --rank;

    // By columns, R is R^T = X diag(s) Y^T: A Z = (Q Y) diag(s) X^T.
    const Factor<double> X(width(), width()), Y(width(), width());
    require_converged(small_svd(width(), triangle_.entries.data(), X.entries.data(), values_.data(), Y.entries.data(),
                                SvdMethod::divide_and_conquer, progress_, 0.95, 0.97));
    RandomizedSvd<T> found;
    found.rows = problem_.rows;
    found.cols = problem_.cols;
    found.rank = rank;
    found.left = Array<T>(checked_product(found.rows, rank));
    found.right = Array<T>(checked_product(found.cols, rank));
    found.singular_values = Array<T>(rank);
    rotate(image_, Y, transposed_ ? found.V() : found.U());
    rotate(basis_, X, transposed_ ? found.U() : found.V());
    fix_signs(found.U(), found.V(), progress_.part(0.99, 1));
    for (Index i = 0; i < rank; ++i)
      found.singular_values[i] = static_cast<T>(std::ldexp(values_[i], problem_.exponent));
    found.error = std::ldexp(error(rank), problem_.exponent);
    found.frobenius_norm = std::ldexp(frobenius_norm(), problem_.exponent);
    found.passes = passes_;
    found.settled = settled_;
    found.converged = converged;
    return found;
  }

  /// to <- basis * the first columns of `rotation`, which is stored by columns.
  void rotate(const Factor<T>& basis, const Factor<double>& rotation, MatrixView<T> to) {
    if (to.cols() == 0) return;
    const Factor<T> some(to.cols(), rotation.cols);
    copy_scaled(MatrixView<double>(rotation.entries.data(), to.cols(), rotation.cols), 0, some.view(), {});
    gemm<T>(1, basis.view(), Transpose::no, some.view(), Transpose::yes, 0, to, progress_.part(0.97, 0.99));
  }

  const LowRankProblem<T>& problem_;
  const RandomizedSvdOptions& options_;
  Progress& progress_;
  Index short_side_;
  Index most_rank_;
  double noise_;
  bool transposed_;  // the next product is by A^T
  Factor<T> basis_ = {};
  Factor<T> image_ = {};
  Factor<double> triangle_ = {};
  Array<double> values_ = {};
  Array<double> previous_ = {};
  double captured_ = 0;
  double probed_tail_ = -1;
  Index parts_ = 0;
  Index passes_ = 0;
  std::uint64_t streams_ = 0;
  bool settled_ = false;
};

}  // namespace

template <class T>
double square_sum(MatrixView<const T> A, int exponent, const RunOptions& run) {
  if (A.cols() == 0) return 0;  // there may be no memory behind it
  constexpr Index lanes = 16;
  const double half = std::ldexp(1.0, -exponent / 2), rest = std::ldexp(1.0, -exponent + exponent / 2);
  const RowBlocks blocks{A.rows(), A.cols()};
  const Array<double> sums(blocks.count);
  blocks.run(run, 1, [&](Index block, Index begin, Index end) {
    std::array<double, lanes> lane{};
    const auto add = [&](double& sum, T entry) { sum += squared(static_cast<double>(entry) * half * rest); };
    for (Index i = begin; i < end; ++i) {
      const T* const row = &A(i, 0);
      Index j = 0;
      for (; j + lanes <= A.cols(); j += lanes)
        for (Index k = 0; k < lanes; ++k) add(lane[static_cast<std::size_t>(k)], row[j + k]);
      for (; j < A.cols(); ++j) add(lane[0], row[j]);
    }
    double sum = 0;
    for (const double part : lane) sum += part;
    sums[block] = sum;
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

template <class T>
RandomizedSvd<T> iterate_subspace(const LowRankProblem<T>& problem, Index rank, const RandomizedSvdOptions& options,
                                  Progress& progress) {
  return SubspaceIteration<T>(problem, rank, options, progress).run();
}

#define NEARLINEAR_INSTANTIATE(T)                                          \
  template double square_sum(MatrixView<const T>, int, const RunOptions&); \
  template RandomizedSvd<T> iterate_subspace(const LowRankProblem<T>&, Index, const RandomizedSvdOptions&, Progress&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::linalg

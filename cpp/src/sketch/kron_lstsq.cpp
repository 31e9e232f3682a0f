#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/arithmetic.hpp"
#include "linalg/progress.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/qr.hpp"
#include "sketch/mode_products.hpp"
#include "sketch/solution.hpp"
#include "sketch/tensor_srht.hpp"

namespace nearlinear {
namespace sketch {
namespace {

constexpr std::uint64_t sampling_stream = 8;
constexpr Index block_entries = Index{1} << 14;

/// The largest absolute value, NaN or infinity if there is one.
template <class T>
T largest_magnitude(const T* entries, Index count) {
  T largest = 0;
  for (Index i = 0; i < count; ++i)
    if (const T magnitude = std::abs(entries[i]); !(magnitude <= largest)) {
      largest = magnitude;
      if (!std::isfinite(magnitude)) break;
    }
  return largest;
}

/// The power of two that entries are divided by before products of q + 1 such factors are summed: 0 unless they are so
/// large or small that products may overflow or lose digits.
template <class T>
int scaling_exponent(T largest, std::size_t q) {
  if (largest == 0) return 0;
  int exponent = 0;
  (void)std::frexp(largest, &exponent);
  const int harmless =
      std::numeric_limits<T>::max_exponent / (4 * (static_cast<int>(std::min<std::size_t>(q, 64)) + 1));
  return std::abs(exponent) <= harmless ? 0 : exponent;
}

template <class T>
Array<T> scaled(const T* entries, Index count, int exponent) {
  Array<T> result(count);
  std::transform(entries, entries + count, result.data(), [=](T entry) { return std::ldexp(entry, -exponent); });
  return result;
}

/// min |A_1 (x) ... (x) A_q x - b| with factors and b divided by powers of two where they need it.
template <class T>
class Problem {
 public:
  Problem(std::span<const MatrixView<const T>> factors, const KronLstsqOptions& options) : options_(options) {
    require_factors(factors, "kron_lstsq");
    cols_ = kron_cols(factors);
    for (std::size_t t = 0; t < factors.size(); ++t) add_factor(factors[t], t, factors.size());
    if (options.method == KronMethod::exact) return;
    m_ = options.sketch_rows == 0 ? kron_sketch_rows(cols_) : options.sketch_rows;
    require(m_ >= cols_ && m_ <= Index{1} << 30, "kron_lstsq: sketch_rows is ", m_, " but the factors have ", cols_,
            " columns in all; it must not be less, nor above 2^30");
    for (std::size_t t = 0; t < factors.size(); ++t)
      require(factors[t].rows() >= factors[t].cols(), "kron_lstsq: factors[", t, "] is ", shape(factors[t]),
              "; it must not have fewer rows than columns, unless the method is exact");
  }

  /// Throws unless b has as many entries as A has rows.
  void require_size(Index entries) const {
    Index n = 1;
    for (const Index rows : rows_) n = checked_product(n, rows);
    require(entries == n, "kron_lstsq: b has ", entries, " entries but the factors have ", n,
            " rows in all; they must agree");
  }

  void set_b(std::span<const T> b, const RunOptions& run) {
    const auto n = static_cast<Index>(b.size());
    const Index blocks = ceil_divide(n, block_entries);
    const Array<T> largest(blocks);
    Monitor monitor(run.keep_going);
    parallel_for(blocks, linalg::threads_at(2, run.n_threads, n), monitor, [&](Index block) {
      const Index begin = block * block_entries;
      largest[block] = largest_magnitude(b.data() + begin, std::min(block_entries, n - begin));
    });
    const T most = largest_magnitude(largest.data(), blocks);
    require(std::isfinite(most), "kron_lstsq: b holds NaN or infinities");
    b_exponent_ = scaling_exponent(most, rows_.size());
    b_.sizes = rows_;
    b_.data = b.data();
    if (b_exponent_ == 0) return;
    b_.memory = scaled(b.data(), n, b_exponent_);
    b_.data = b_.memory.data();
  }

  /// x <- A_1^+ (x) ... (x) A_q^+ b.
  void solve_exactly(linalg::Progress& progress) {
    const std::size_t q = factors_.size();
    std::vector<Inverse> inverses;
    for (std::size_t t = 0; t < q; ++t)
      inverses.push_back(invert(factors_[t], progress.part(0.1 + 0.3 * fraction(t), 0.1 + 0.3 * fraction(t + 1))));
    Tensor<T> x{b_.sizes, b_.data};
    std::size_t step = 0;
    for (const std::size_t t : cheapest_order(rows_, d_)) {
      const MatrixView<const T> Q(inverses[t].Q.data(), rows_[t], d_[t]);
      x = multiply_mode(x, t, Q, Transpose::yes,
                        progress.part(0.4 + 0.2 * fraction(step), 0.4 + 0.2 * fraction(step + 1)));
      ++step;
    }
    result_.rank = 1;
    for (std::size_t t = 0; t < q; ++t) {
      const MatrixView<const T> R(inverses[t].R.data(), d_[t], d_[t]);
      const RunOptions run = progress.part(0.6 + 0.1 * fraction(t), 0.6 + 0.1 * fraction(t + 1));
      if (inverses[t].is_triangular)
        solve_mode(x, t, R, run);
      else
        x = multiply_mode(x, t, R, Transpose::no, run);
      result_.rank *= inverses[t].rank;
    }
    x_ = std::move(x.memory);
    find_residual(progress);
  }

  void solve_sketch(linalg::Progress& progress) {
    const Array<T> SA(checked_product(m_, cols_)), Sb(m_);
    const MatrixView<T> matrix(SA.data(), m_, cols_);
    tensor_srht<T>(factors_, options_.seed, matrix, progress.part(0.1, 0.2));
    tensor_srht_vector<T>(rows_, {b_.data, static_cast<std::size_t>(b_.entries())}, options_.seed, Sb.span(),
                          progress.part(0.2, 0.4));
    solve_rows(matrix, Sb, progress.part(0.4, 0.7));
    find_residual(progress);
  }

  void solve_sample(const KronEntries<T>& entries, linalg::Progress& progress) {
    const std::size_t q = factors_.size();
    const auto columns = static_cast<Index>(q);
    result_.indices = Array<Index>(checked_product(m_, columns));
    const Array<double> probabilities(m_);
    std::fill(probabilities.begin(), probabilities.end(), 1.0);
    for (std::size_t t = 0; t < q; ++t)
      draw_rows(t, probabilities.span(), progress.part(0.4 * fraction(t), 0.4 * fraction(t + 1)));

    const Array<T> SA(checked_product(m_, cols_)), Sb(m_);
    entries({result_.indices.data(), m_, columns}, Sb.span());
    const T most = largest_magnitude(Sb.data(), m_);
    require(std::isfinite(most), "kron_lstsq: b holds NaN or infinities");
    b_exponent_ = scaling_exponent(most, q);
    const RunOptions run = progress.part(0.4, 0.5);
    Monitor monitor(run.keep_going);
    const Index rows = std::max<Index>(1, block_entries / cols_);
    parallel_for(ceil_divide(m_, rows), linalg::threads_at(1, run.n_threads, m_, cols_), monitor, [&](Index block) {
      std::vector<T> row, longer;
      for (Index k = block * rows; k < std::min(m_, (block + 1) * rows); ++k) {
        const auto weight = static_cast<T>(1 / std::sqrt(static_cast<double>(m_) * probabilities[k]));
        row.assign(1, weight);
        for (std::size_t t = 0; t < q; ++t) {
          longer.resize(row.size() * static_cast<std::size_t>(d_[t]));
          const std::span<const T> next = factors_[t].row(result_.indices[k * columns + static_cast<Index>(t)]);
          multiply_rows<T>(row, next, 1, longer.data());
          std::swap(row, longer);
        }
        std::copy(row.begin(), row.end(), SA.data() + k * cols_);
        Sb[k] = weight * std::ldexp(Sb[k], -b_exponent_);
      }
    });
    const MatrixView<T> matrix(SA.data(), m_, cols_);
    solve_rows(matrix, Sb, progress.part(0.5, 1));
    double square = 0;
    for (Index k = 0; k < m_; ++k) {
      double r = static_cast<double>(Sb[k]);
      for (Index j = 0; j < cols_; ++j) r -= static_cast<double>(matrix(k, j)) * static_cast<double>(x_[j]);
      square += r * r;
    }
    result_.residual_norm = std::sqrt(square);
  }

  /// The result, with the powers of two put back.
  [[nodiscard]] KronLstsqResult<T> finish() {
    int exponent = b_exponent_;
    for (const int factor : exponents_) exponent -= factor;
    if (exponent != 0)
      for (T& entry : x_) entry = std::ldexp(entry, exponent);
    result_.x = std::move(x_);
    result_.residual_norm = std::ldexp(result_.residual_norm, b_exponent_);
    return std::move(result_);
  }

 private:
  /// A = Q R, and R or its pseudo-inverse.
  struct Inverse {
    Array<T> Q;
    Array<T> R;
    bool is_triangular = true;
    Index rank = 0;
  };

  [[nodiscard]] double fraction(std::size_t t) const {
    return static_cast<double>(t) / static_cast<double>(factors_.size());
  }

  void add_factor(MatrixView<const T> A, std::size_t t, std::size_t q) {
    T most = 0;
    for (Index i = 0; i < A.rows(); ++i) {
      const T of_row = largest_magnitude(&A(i, 0), A.cols());
      require(std::isfinite(of_row), "kron_lstsq: factors[", t, "] holds NaN or infinities");
      most = std::max(most, of_row);
    }
    rows_.push_back(A.rows());
    d_.push_back(A.cols());
    exponents_.push_back(scaling_exponent(most, q));
    if (exponents_.back() != 0) {
      Array<T> copy(checked_product(A.rows(), A.cols()));
      for (Index i = 0; i < A.rows(); ++i)
        std::transform(&A(i, 0), &A(i, 0) + A.cols(), copy.data() + i * A.cols(),
                       [&](T entry) { return std::ldexp(entry, -exponents_.back()); });
      A = {copy.data(), A.rows(), A.cols()};
      copies_.push_back(std::move(copy));
    }
    factors_.push_back(A);
  }

  [[nodiscard]] static Inverse invert(MatrixView<const T> A, const RunOptions& run) {
    const Index n = A.rows(), d = A.cols();
    linalg::Progress progress(run);
    Array<T> filled;
    MatrixView<const T> tall = A;
    if (n < d) {  // zeros below: they belong to rows of Q that meet no entry of b
      filled = Array<T>::zeros(checked_product(d, d));
      for (Index i = 0; i < n; ++i) std::copy_n(&A(i, 0), d, filled.data() + i * d);
      tall = {filled.data(), d, d};
    }
    Inverse result{Array<T>(checked_product(tall.rows(), d)), Array<T>(checked_product(d, d)), true, d};
    const MatrixView<T> R(result.R.data(), d, d);
    qr_thin<T>(tall, {result.Q.data(), tall.rows(), d}, R, QrMethod::automatic, progress.part(0, 0.8));
    Square in_double(d);
    std::copy(result.R.begin(), result.R.end(), in_double.entries.begin());
    constexpr double eps = std::numeric_limits<T>::epsilon();
    if (n >= d && !is_deficient(in_double, eps, progress.part(0.8, 0.9))) return result;

    const Array<double> identity = Array<double>::zeros(d * d);
    for (Index i = 0; i < d; ++i) identity[i * d + i] = 1;
    const RankedSolution inverse = solve_by_rank(in_double, MatrixView<const double>(identity.data(), d, d),
                                                 std::nullopt, eps, progress.part(0.9, 1));
    std::transform(inverse.X.begin(), inverse.X.end(), result.R.begin(), [](double x) { return static_cast<T>(x); });
    result.is_triangular = false;
    result.rank = inverse.rank;
    return result;
  }

  /// x <- argmin |SA x - Sb|.
  void solve_rows(MatrixView<const T> SA, const Array<T>& Sb, const RunOptions& run) {
    linalg::Progress progress(run);
    constexpr double eps = std::numeric_limits<T>::epsilon();
    const Array<double> c(cols_);
    const MatrixView<double> C(c.data(), cols_, 1);
    const Square R = qr_factor<T>(SA, {Sb.data(), m_, 1}, 0, C, progress.part(0, 0.8));
    result_.rank = cols_;
    const RunOptions rest = progress.part(0.8, 1);
    if (is_deficient(R, eps, rest)) {
      const RankedSolution solution = solve_by_rank(R, C, std::nullopt, eps, rest);
      std::copy(solution.X.begin(), solution.X.end(), c.begin());
      result_.rank = solution.rank;
    } else {
      triangular_solve<double>(Triangle::upper, Transpose::no, R.view(), C, rest);
    }
    x_ = Array<T>(cols_);
    std::transform(c.begin(), c.end(), x_.begin(), [](double x) { return static_cast<T>(x); });
  }

  /// |A x - b|. A x is as long as b: the last of its products is made and subtracted block by block.
  void find_residual(linalg::Progress& progress) {
    Tensor<T> y{d_, x_.data()};
    const std::vector<std::size_t> order = cheapest_order(d_, rows_);
    for (std::size_t step = 0; step + 1 < order.size(); ++step)
      y = multiply_mode(y, order[step], factors_[order[step]], Transpose::no,
                        progress.part(0.7 + 0.1 * fraction(step), 0.7 + 0.1 * fraction(step + 1)));
    result_.residual_norm =
        std::sqrt(squared_distance(y, order.back(), factors_[order.back()], b_, progress.part(0.8, 1)));
  }

  /// Draws column t of the index tuples, and multiplies the probabilities of the tuples by those of their rows.
  void draw_rows(std::size_t t, std::span<double> probabilities, const RunOptions& run) {
    const MatrixView<const T> A = factors_[t];
    const Index n = A.rows(), d = A.cols(), q = static_cast<Index>(factors_.size());
    const Array<T> Q(checked_product(n, d)), R(checked_product(d, d));
    qr_thin<T>(A, {Q.data(), n, d}, {R.data(), d, d}, QrMethod::automatic, run);
    const Array<double> scores(n), running(n);
    double total = 0;
    for (Index i = 0; i < n; ++i) {
      double score = 0;
      for (Index j = 0; j < d; ++j) score += static_cast<double>(Q[i * d + j]) * static_cast<double>(Q[i * d + j]);
      scores[i] = score;
      running[i] = total += score;
    }
    const RandomStream numbers(options_.seed, sampling_stream);
    for (Index k = 0; k < m_; ++k) {
      const Index at = k * q + static_cast<Index>(t);
      const double goal = numbers.uniform(static_cast<std::uint64_t>(at)) * total;
      const double* place = std::upper_bound(running.begin(), running.end(), goal);
      if (place == running.end())
        place = std::lower_bound(running.begin(), running.end(), total);  // goal was rounded up
      const Index row = place - running.begin();
      result_.indices[at] = row;
      probabilities[static_cast<std::size_t>(k)] *= scores[row] / total;
    }
  }

  KronLstsqOptions options_;
  std::vector<MatrixView<const T>> factors_;
  std::vector<Array<T>> copies_;
  std::vector<int> exponents_;
  std::vector<Index> rows_, d_;
  Index cols_ = 0;
  Index m_ = 0;
  Tensor<T> b_;
  int b_exponent_ = 0;
  Array<T> x_;
  KronLstsqResult<T> result_;
};

}  // namespace
}  // namespace sketch

Index kron_sketch_rows(Index D) {
  require(D >= 1, "kron_sketch_rows: D is ", D, "; it must be positive");
  const auto columns = static_cast<double>(D);
  const double rows = std::ceil(std::max(16 * columns, 4 * columns * std::log(columns)));
  if (rows > 0x1p30) throw std::overflow_error("kron_sketch_rows: a sketch would have more than 2^30 rows");
  return static_cast<Index>(rows);
}

template <class T>
KronLstsqResult<T> kron_lstsq(std::span<const MatrixView<const T>> factors, std::span<const T> b,
                              const KronLstsqOptions& options, const RunOptions& run) {
  linalg::Progress progress(run);
  sketch::Problem<T> problem(factors, options);
  problem.require_size(static_cast<Index>(b.size()));
  if (options.method == KronMethod::sampling) {
    const auto read = [&](MatrixView<const Index> indices, std::span<T> entries) {
      for (Index k = 0; k < indices.rows(); ++k) {
        Index at = 0;
        for (std::size_t t = 0; t < factors.size(); ++t) at = at * factors[t].rows() + indices.row(k)[t];
        entries[static_cast<std::size_t>(k)] = b[static_cast<std::size_t>(at)];
      }
    };
    problem.solve_sample(read, progress);
    return problem.finish();
  }
  problem.set_b(b, progress.part(0, 0.1));
  if (options.method == KronMethod::exact)
    problem.solve_exactly(progress);
  else
    problem.solve_sketch(progress);
  return problem.finish();
}

template <class T>
KronLstsqResult<T> kron_lstsq(std::span<const MatrixView<const T>> factors, const KronEntries<T>& b,
                              const KronLstsqOptions& options, const RunOptions& run) {
  require(options.method == KronMethod::sampling, "kron_lstsq: b is a function; the method must be sampling");
  linalg::Progress progress(run);
  sketch::Problem<T> problem(factors, options);
  problem.solve_sample(b, progress);
  return problem.finish();
}

template KronLstsqResult<float> kron_lstsq(std::span<const MatrixView<const float>>, std::span<const float>,
                                           const KronLstsqOptions&, const RunOptions&);
template KronLstsqResult<double> kron_lstsq(std::span<const MatrixView<const double>>, std::span<const double>,
                                            const KronLstsqOptions&, const RunOptions&);
template KronLstsqResult<float> kron_lstsq(std::span<const MatrixView<const float>>, const KronEntries<float>&,
                                           const KronLstsqOptions&, const RunOptions&);
template KronLstsqResult<double> kron_lstsq(std::span<const MatrixView<const double>>, const KronEntries<double>&,
                                            const KronLstsqOptions&, const RunOptions&);

}  // namespace nearlinear

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "linalg/progress.hpp"
#include "nearlinear/sampling/sample.hpp"
#include "nearlinear/sampling/sensitivities.hpp"
#include "sampling/draws.hpp"
#include "sampling/lewis_iteration.hpp"

namespace nearlinear {
namespace {

using sampling::Matrix;

constexpr const char* caller = "sample_rows";

class Sampler {
 public:
  Sampler(const StoredMatrix& A, Matrix& matrix, double p, const SampleOptions& options, const RunOptions& run)
      : A_(A), matrix_(matrix), p_(p), options_(options), progress_(run), n_(matrix.rows()) {
    sample_.score = options.score;
    sample_.scores = Array<double>(n_);
    sample_.probabilities = Array<double>(n_);
  }

  RowSample sample() {
    if (options_.rows >= n_ && !options_.with_replacement) {
      take_all();
      return std::move(sample_);
    }
    if (!options_.scores.empty()) {
      std::copy(options_.scores.begin(), options_.scores.end(), sample_.scores.begin());
    } else {
      if (sample_.score == RowScore::automatic) choose();
      if (sample_.score == RowScore::root_leverage && p_ < 2 && !options_.with_replacement) {
        find_leverage(0.05, 0.5);
        recurse();
        return std::move(sample_);
      }
      find_scores();
    }
    refuse_lost_rows();
    const Index m = rows_wanted();
    if (options_.with_replacement) {
      draw_again_and_again(m);
    } else if (m >= n_) {
      take_all();
    } else {
      sampling_probabilities(sample_.scores.span(), static_cast<double>(m), sample_.probabilities.span());
      finish(options_.exact_size ? sampling::draw_systematically(sample_.probabilities.span(), options_.seed)
                                 : sampling::draw_independently(sample_.probabilities.span(), options_.seed, 0));
    }
    return std::move(sample_);
  }

 private:
  [[nodiscard]] std::span<double> scores() { return sample_.scores.span(); }

  void take_all() {
    std::fill(sample_.probabilities.begin(), sample_.probabilities.end(), 1.0);
    if (options_.scores.empty())
      std::fill(sample_.scores.begin(), sample_.scores.end(), 1.0);
    else
      std::copy(options_.scores.begin(), options_.scores.end(), sample_.scores.begin());
    std::vector<Index> all(static_cast<std::size_t>(n_));
    std::iota(all.begin(), all.end(), Index{0});
    finish(all);
  }

  /// The score whose bound is the best one known.
  void choose() {
    constexpr Index affordable = 20000;  // rows, whose sensitivities take seconds
    sample_.score = p_ == 2 ? RowScore::leverage : RowScore::lewis;
    if (p_ <= 2 || n_ > affordable) return;
    constexpr Index programs = 32;
    const SensitivityEstimate total =
        total_sensitivity(A_, p_, programs, SensitivityMethod::coreset, options_.seed, progress_.part(0, 0.05));
    const auto d = static_cast<double>(matrix_.cols());
    const double S = std::max(1.0, total.value + total.standard_error);
    if (std::pow(d, 2 / p_) * std::pow(S, 2 - 4 / p_) < std::pow(d, p_ / 2))
      sample_.score = RowScore::sensitivity_leverage;
  }

  void find_leverage(double begin, double end) {
    constexpr Index many_columns = 512;  // for which rounding is not worth its price
    const auto method = matrix_.cols() > many_columns ? LeverageMethod::sketch : LeverageMethod::exact;
    leverage_scores(A_, scores(), {.method = method, .seed = options_.seed}, progress_.part(begin, end));
  }

  void find_sensitivities(double begin, double end) {
    std::vector<Index> all(static_cast<std::size_t>(n_));
    std::iota(all.begin(), all.end(), Index{0});
    const SensitivityOptions by_coreset{.method = SensitivityMethod::coreset, .seed = options_.seed};
    (void)sensitivities(A_, p_, all, scores(), by_coreset, progress_.part(begin, end));
    total_ = std::accumulate(scores().begin(), scores().end(), 0.0);
  }

  void find_scores() {
    switch (sample_.score) {
      case RowScore::uniform:
        std::fill(sample_.scores.begin(), sample_.scores.end(), 1.0);
        break;
      case RowScore::lewis: {
        const LewisOptions lewis{.tol = 1e-2, .maxiter = 300};
        (void)sampling::find_lewis_weights(matrix_, p_, scores(), lewis, caller, progress_.part(0.05, 0.9));
        break;
      }
      case RowScore::sensitivity:
        find_sensitivities(0.05, 0.9);
        break;
      case RowScore::sensitivity_leverage: {
        find_leverage(0.05, 0.1);
        const Array<double> leverage = std::exchange(sample_.scores, Array<double>(n_));
        find_sensitivities(0.1, 0.9);
        for (Index i = 0; i < n_; ++i) sample_.scores[i] += leverage[i];
        break;
      }
      case RowScore::root_leverage:
        find_leverage(0.05, 0.9);
        for (double& score : sample_.scores) score = std::pow(score, p_ / 2);
        break;
      default:
        find_leverage(0.05, 0.9);
    }
  }

  /// A row that is not 0 and whose score is 0 would never be in a sample.
  void refuse_lost_rows() const {
    const Array<double> row(matrix_.cols());
    for (Index i = 0; i < n_; ++i) {
      const double score = sample_.scores[i];
      require(score >= 0 && std::isfinite(score), caller, ": scores has the entry ", score, " at index ", i,
              "; scores must be finite and not negative");
      if (score > 0 || options_.scores.empty()) continue;
      matrix_.copy_row(i, row.data());
      require(std::all_of(row.begin(), row.end(), [](double entry) { return entry == 0; }), caller,
              ": score is 0 at index ", i,
              ", and this row of A is not 0; it would be lost, which biases every estimate");
    }
    require(std::any_of(sample_.scores.begin(), sample_.scores.end(), [](double score) { return score > 0; }), caller,
            ": all scores are 0");
  }

  /// Without eps^-2 and logarithms; see RowScore.
  [[nodiscard]] double rows_of_bound() const {
    const auto n = static_cast<double>(n_), d = static_cast<double>(matrix_.cols());
    const double p = p_, S = std::max(1.0, total_);
    switch (sample_.score) {
      case RowScore::root_leverage:
        return p <= 2 ? d : std::pow(n, 1 - 2 / p) * d;
      case RowScore::lewis:
        return std::pow(d, std::max(1.0, p / 2));
      case RowScore::sensitivity:
        return p <= 2 ? std::pow(d, 1 - p / 2) * S : std::pow(S, 2 - 2 / p);
      case RowScore::sensitivity_leverage:
        return p <= 2 ? S + d : std::pow(d, 2 / p) * std::pow(S, 2 - 4 / p);
      default:
        return d;
    }
  }

  [[nodiscard]] Index rows_wanted() const {
    if (options_.rows > 0) return options_.rows;
    const double d = static_cast<double>(matrix_.cols());
    const double m = 2 * rows_of_bound() * std::log(2 * d / options_.delta) / (options_.eps * options_.eps);
    return m >= static_cast<double>(n_) ? n_ : std::max<Index>(1, static_cast<Index>(std::ceil(m)));
  }

  /// Rows of S A with the leverage scores to the power of p / 2, again and again.
  void recurse() {
    const Index d = matrix_.cols(), m = rows_wanted();
    const Array<double> row_scores(n_);
    std::vector<Index> rows(static_cast<std::size_t>(n_));
    std::iota(rows.begin(), rows.end(), Index{0});
    std::fill(sample_.probabilities.begin(), sample_.probabilities.end(), 1.0);
    std::copy(sample_.scores.begin(), sample_.scores.end(), row_scores.begin());
    for (std::uint64_t round = 0;; ++round) {
      const auto size = std::ssize(rows);
      const Array<double> of_rows(size), probabilities(size);
      for (Index k = 0; k < size; ++k) of_rows[k] = std::pow(row_scores[k], p_ / 2);
      for (Index k = 0; k < size; ++k) sample_.scores[rows[static_cast<std::size_t>(k)]] = of_rows[k];
      const double between = std::sqrt(static_cast<double>(size) * static_cast<double>(m));
      const bool is_last = static_cast<double>(size) <= 4 * static_cast<double>(m);
      const double wanted = is_last ? static_cast<double>(m) : std::ceil(between);
      sampling_probabilities(of_rows.span(), wanted, probabilities.span());
      for (Index k = 0; k < size; ++k) sample_.probabilities[rows[static_cast<std::size_t>(k)]] *= probabilities[k];
      const std::vector<Index> drawn = is_last && options_.exact_size
                                           ? sampling::draw_systematically(probabilities.span(), options_.seed)
                                           : sampling::draw_independently(probabilities.span(), options_.seed, round);
      std::vector<Index> kept(drawn.size());
      for (std::size_t k = 0; k < drawn.size(); ++k) kept[k] = rows[static_cast<std::size_t>(drawn[k])];
      rows = std::move(kept);
      if (is_last || std::ssize(rows) <= m) break;
      const Array<double> scaled(checked_product(std::ssize(rows), d));
      for (Index k = 0; k < std::ssize(rows); ++k) {
        const Index i = rows[static_cast<std::size_t>(k)];
        const double factor = std::pow(sample_.probabilities[i], -1 / p_);
        matrix_.copy_rows(i, i + 1, &factor, scaled.data() + k * d);
      }
      leverage_scores(MatrixView<const double>(scaled.data(), std::ssize(rows), d),
                      row_scores.span().first(rows.size()), {}, progress_.part(0.6, 0.6));
    }
    finish(rows);
  }

  void draw_again_and_again(Index m) {
    const double total = std::accumulate(sample_.scores.begin(), sample_.scores.end(), 0.0);
    for (Index i = 0; i < n_; ++i) sample_.probabilities[i] = static_cast<double>(m) * (sample_.scores[i] / total);
    finish(sampling::draw_with_replacement(sample_.scores.span(), m, options_.seed));
  }

  void finish(const std::vector<Index>& rows) {
    const auto size = std::ssize(rows);
    sample_.indices = Array<Index>(size);
    sample_.weights = Array<double>(size);
    sample_.scale = Array<double>(size);
    for (Index k = 0; k < size; ++k) {
      sample_.indices[k] = rows[static_cast<std::size_t>(k)];
      sample_.weights[k] = 1 / sample_.probabilities[sample_.indices[k]];
      sample_.scale[k] = std::pow(sample_.weights[k], 1 / p_);
    }
  }

  const StoredMatrix& A_;
  Matrix& matrix_;
  double p_;
  const SampleOptions& options_;
  linalg::Progress progress_;
  Index n_;
  double total_ = 0;
  RowSample sample_;
};

}  // namespace

RowSample sample_rows(const StoredMatrix& A, double p, const SampleOptions& options, const RunOptions& run) {
  const auto matrix = sampling::matrix_of(A, caller);
  sampling::require_valid_p(p, caller);
  require(options.rows >= 0, caller, ": m is ", options.rows, "; it must be positive");
  require(options.rows > 0 || options.eps > 0, caller, ": eps is ", options.eps, "; it or m must be positive");
  require(options.delta > 0 && options.delta < 1, caller, ": delta is ", options.delta, "; it must be between 0 and 1");
  require(options.scores.empty() || std::ssize(options.scores) == matrix->rows(), caller, ": scores has ",
          options.scores.size(), " entries and A has ", matrix->rows(), " rows");
  require(!(options.with_replacement && options.exact_size), caller,
          ": exact_size goes without replacement; draws with replacement are m in any case");
  const bool has_bound =
      options.scores.empty() && options.score != RowScore::uniform && (options.score != RowScore::leverage || p == 2);
  require(options.rows > 0 || has_bound, caller,
          ": eps goes with scores that have a bound for this p; say how many rows are wanted, m");
  matrix->require_finite(caller, run);
  return Sampler(A, *matrix, p, options, run).sample();
}

}  // namespace nearlinear

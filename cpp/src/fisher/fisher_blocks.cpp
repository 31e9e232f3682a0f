#include "fisher/fisher_blocks.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "fisher/shifted_factor.hpp"
#include "linalg/cholesky_kernels.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/core/errors.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear::fisher {

void require_valid_damping(const std::vector<double>& damping, Index blocks, const char* function) {
  const Index given = std::ssize(damping);
  require(given == 1 || given == blocks, function, ": damping has ", given, " entries; there are ", blocks,
          " blocks, and it must have one entry or as many");
  for (const double lambda : damping)
    require(lambda > 0 && std::isfinite(lambda), function, ": damping is ", lambda, "; it must be positive and finite");
}

FisherBlocks::FisherBlocks(Gradients gradients, const FisherOptions& options)
    : gradients_(std::move(gradients)), damping_(options.damping), normalization_(options.normalization) {
  const char* const function = "FisherInverse";
  const Index m = gradients_.rows(), d = gradients_.cols();
  require(m > 0 && d > 0, function, ": grads is ", Shape{m, d}, "; it must have rows and columns");
  require(options.block_size >= 0, function, ": block_size is ", options.block_size, "; it must be positive");
  require(normalization_ >= 0 && std::isfinite(normalization_), function, ": normalize is ", normalization_,
          "; it must be positive and finite");
  if (normalization_ == 0) normalization_ = static_cast<double>(m);
  block_size_ = options.block_size == 0 ? d : std::min(options.block_size, d);
  count_ = ceil_divide(d, block_size_);
  require_valid_damping(damping_, count_, function);
  const Index numbers = checked_product(count_, checked_product(largest_side(), largest_side()));
  grams_ = Array<double>(numbers);
  factors_ = Array<double>::zeros(numbers);
}

Block FisherBlocks::operator[](Index b) const {
  const Index m = gradients_.rows(), begin = b * block_size_, end = std::min(begin + block_size_, gradients_.cols());
  const bool by_gradients = m <= end - begin;
  const Index side = by_gradients ? m : end - begin, offset = b * largest_side() * largest_side();
  return {.begin = begin,
          .end = end,
          .by_gradients = by_gradients,
          .damping = damping_[damping_.size() == 1 ? 0 : static_cast<std::size_t>(b)],
          .normalization = normalization_,
          .K = {grams_.data() + offset, side, side},
          .L = {factors_.data() + offset, side, side}};
}

Gradients FisherBlocks::gradients_of(const Block& block) const { return gradients_.columns(block.begin, block.end); }

std::size_t FisherBlocks::nbytes() const {
  return gradients_.nbytes() + Array<double>::bytes(grams_.size()) + Array<double>::bytes(factors_.size());
}

void FisherBlocks::for_each(const RunOptions& run, double operations,
                            const std::function<void(const Block&, Pass)>& body) const {
  constexpr double long_block = 1e7, short_body = 1e6;  // operations: some milliseconds, and some hundred microseconds
  Monitor monitor(run.keep_going);
  const double per_block = operations * static_cast<double>(block_size_);
  if (count_ == 1 || per_block > long_block) {
    for (Index b = 0; b < count_; ++b) {
      monitor.enter_stage(static_cast<double>(b) / static_cast<double>(count_),
                          static_cast<double>(b + 1) / static_cast<double>(count_));
      body((*this)[b], {run.n_threads, monitor});
    }
    return;
  }
  const Index per_body = std::max<Index>(1, static_cast<Index>(short_body / per_block));
  const int threads = linalg::threads_at(linalg::memory_rate, run.n_threads, operations, gradients_.cols());
  parallel_for(ceil_divide(count_, per_body), threads, monitor, [&](Index part) {
    Monitor unwatched{KeepGoing{}};
    for (Index b = part * per_body; b < std::min(count_, (part + 1) * per_body); ++b) body((*this)[b], {1, unwatched});
  });
}

void FisherBlocks::require_finite(const Block& block) const {
  for (Index i = 0; i < block.K.rows(); ++i) {
    if (std::isfinite(block.K(i, i))) continue;
    if (const auto bad = gradients_.find_not_finite())
      require(false, "FisherInverse: grads has the entry ", bad->value, " at index (", bad->row, ", ", bad->col,
              "); all entries must be finite");
    throw std::overflow_error("FisherInverse: grads is too large: the square of a gradient's norm must be a double");
  }
}

void FisherBlocks::set_up(const Block& block, bool precise, Pass pass) const {
  const Gradients gradients = gradients_of(block);
  if (block.by_gradients) {
    gradients.gram(block.K, precise, nullptr, pass);
  } else {
    const Array<double> rows(gradients.rows() * block.size());
    for (Index i = 0; i < gradients.rows(); ++i)
      gradients.get_row<double>(i, {rows.data() + i * block.size(), static_cast<std::size_t>(block.size())});
    nearlinear::gram<double, double>(MatrixView<const double>(rows.data(), gradients.rows(), block.size()), block.K,
                                     {.n_threads = pass.n_threads});
  }
  if (!precise && !std::isfinite(block.K(0, 0))) return set_up(block, true, pass);
  require_finite(block);
  factor_shifted(block.K, block.shift(), block.L, {.n_threads = pass.n_threads});
}

void FisherBlocks::set_up(const RunOptions& run) {
  const double m = static_cast<double>(gradients_.rows());
  // Below this many operations double costs nobody anything.
  const bool small = m * m * static_cast<double>(gradients_.cols()) < 0x1p28;
  std::atomic<bool> precise{small};
  const double operations = m * static_cast<double>(largest_side());
  for_each(run, operations, [&](const Block& block, Pass pass) {
    set_up(block, small, pass);
    if (small || !block.by_gradients || gradients_.storage() == GradientStorage::float64) return;
    // Products in float are off by some 1e-7 |g_i| |g_j|, and what that does is in proportion to the least eigenvalue.
    double trace = 0, least = block.L(0, 0);
    for (Index i = 0; i < block.K.rows(); ++i) {
      trace += block.K(i, i);
      least = std::min(least, block.L(i, i));
    }
    if (least * least >= 1e-2 * trace / m) return;
    precise = true;
    set_up(block, true, pass);
  });
  precise_ = precise;
}

void FisherBlocks::set_damping(std::vector<double> damping, const RunOptions& run) {
  require_valid_damping(damping, count_, "set_damping");
  const Array<double> factors = Array<double>::zeros(factors_.size());
  const double side = static_cast<double>(largest_side());
  for_each(run, side * side * side / static_cast<double>(block_size_), [&](const Block& block, Pass pass) {
    const Index b = block.begin / block_size_;
    const MatrixView<double> L(factors.data() + (block.L.data() - factors_.data()), block.L.rows(), block.L.rows());
    const double lambda = damping[damping.size() == 1 ? 0 : static_cast<std::size_t>(b)];
    factor_shifted(block.K, block.normalization * lambda, L, {.n_threads = pass.n_threads});
  });
  std::copy(factors.begin(), factors.end(), factors_.begin());
  damping_ = std::move(damping);
}

void whiten(const FisherBlocks& blocks, const Block& block, std::span<const Index> columns, MatrixView<double> W) {
  const Index side = block.L.rows(), count = std::ssize(columns);
  const Array<double> rows = Array<double>::zeros(side * count);
  const MatrixView<double> B(rows.data(), side, count);
  if (block.by_gradients)
    blocks.gradients_of(block).gather(columns, B);
  else
    for (Index c = 0; c < count; ++c) B(columns[static_cast<std::size_t>(c)], c) = 1;
  triangular_solve<double>(Triangle::lower, Transpose::no, block.L, B, {.n_threads = 1});
  for (Index c = 0; c < count; ++c)
    for (Index i = 0; i < side; ++i) W(c, i) = B(i, c);
}

double element(const Block& block, bool same, std::span<const double> w_c, std::span<const double> w_d) {
  double product = 0;
  for (Index i = 0; i < block.L.rows(); ++i)
    product += w_c[static_cast<std::size_t>(i)] * w_d[static_cast<std::size_t>(i)];
  return block.by_gradients ? ((same ? 1.0 : 0.0) - product) / block.damping : block.normalization * product;
}

}  // namespace nearlinear::fisher

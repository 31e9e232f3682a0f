// Optimal brain surgeon for any number of weights at once (B. Hassibi and D. G. Stork, "Second order derivatives for
// network pruning: optimal brain surgeon", NIPS 1992, for one weight).
#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "fisher/fisher_blocks.hpp"
#include "fisher/shifted_factor.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear::fisher {
namespace {

double dot(std::span<const double> x, std::span<const double> y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

/// The regression where fewer weights are kept than there are gradients: (s lambda I + G_R^T G_R) dw_R = G_R^T u.
/// Returns |u - G_R dw_R|^2 / s + lambda |dw_R|^2.
template <class T>
double regress_on_few(const Gradients& gradients, const Block& block, std::span<const Index> kept,
                      std::span<const double> u, std::span<T> step, int n_threads) {
  const Index m = gradients.rows(), n = std::ssize(kept);
  const RunOptions run{.n_threads = n_threads};
  const Array<double> columns(m * n), K(n * n), L = Array<double>::zeros(n * n);
  const MatrixView<double> G(columns.data(), m, n);
  gradients.gather(kept, G);
  gram<double, double>(G, {K.data(), n, n}, run);
  factor_shifted({K.data(), n, n}, block.shift(), {L.data(), n, n}, run);
  std::vector<double> solution(kept.size()), explained(u.size());
  gemv_pair<double>(G, {}, {}, u, solution, run);
  solve_shifted({L.data(), n, n}, {solution.data(), n, 1}, n_threads);
  gemv_pair<double>(G, solution, explained, {}, {}, run);
  for (std::size_t j = 0; j < kept.size(); ++j) step[static_cast<std::size_t>(kept[j])] = static_cast<T>(solution[j]);
  for (std::size_t i = 0; i < u.size(); ++i) explained[i] -= u[i];
  return dot(explained, explained) / block.normalization + block.damping * dot(solution, solution);
}

/// The same where there are more, by its dual: dw_R = G_R^T S_R^{-1} u.
template <class T>
double regress_on_many(const Gradients& gradients, const Block& block, const std::vector<std::uint8_t>& is_kept,
                       bool precise, std::span<const double> u, std::span<T> step, Pass pass) {
  const Index m = gradients.rows();
  const Array<double> K(m * m), L = Array<double>::zeros(m * m);
  gradients.gram({K.data(), m, m}, precise, is_kept.data(), pass);
  factor_shifted({K.data(), m, m}, block.shift(), {L.data(), m, m}, {.n_threads = pass.n_threads});
  std::vector<double> c(u.begin(), u.end());
  solve_shifted({L.data(), m, m}, {c.data(), m, 1}, pass.n_threads);
  gradients.combine<T>(c.data(), 0, {}, step, pass);
  return block.damping * dot(u, c);
}

/// A regression of what the pruned weights contributed, u = G_Q w_Q, on the columns of the kept ones.
template <class T>
double step_by_gradients(const FisherBlocks& blocks, const Block& block, std::span<const T> w,
                         std::span<const std::uint8_t> prune, std::span<T> step, Pass pass) {
  const Gradients gradients = blocks.gradients_of(block);
  std::vector<T> pruned(w.size());
  std::vector<std::uint8_t> is_kept(w.size());
  std::vector<Index> kept;
  double square = 0;
  for (std::size_t j = 0; j < w.size(); ++j) {
    is_kept[j] = prune[j] == 0 ? 1 : 0;
    pruned[j] = prune[j] == 0 ? T{0} : w[j];
    if (prune[j] == 0) kept.push_back(static_cast<Index>(j));
    square += static_cast<double>(pruned[j]) * static_cast<double>(pruned[j]);
  }
  std::vector<double> u(static_cast<std::size_t>(gradients.rows()));
  gradients.multiply<T>(pruned, u.data(), pass);
  const double unexplained = std::ssize(kept) < gradients.rows()
                                 ? regress_on_few(gradients, block, kept, u, step, pass.n_threads)
                                 : regress_on_many(gradients, block, is_kept, blocks.precise(), u, step, pass);
  return (block.damping * square + unexplained) / 2;
}

/// F_RR dw_R = F_RQ w_Q, with the factor s of F left out on both sides.
template <class T>
double step_by_parameters(const Block& block, std::span<const T> w, std::span<const std::uint8_t> prune,
                          std::span<T> step, int n_threads) {
  std::vector<Index> kept, pruned;
  for (Index j = 0; j < block.size(); ++j) (prune[static_cast<std::size_t>(j)] == 0 ? kept : pruned).push_back(j);
  const auto weight = [&](Index j) { return static_cast<double>(w[static_cast<std::size_t>(j)]); };
  const auto product = [&](Index j) {  // (K_jQ + shift delta_jQ) w_Q
    double sum = 0;
    for (const Index q : pruned) sum += (block.K(j, q) + (j == q ? block.shift() : 0.0)) * weight(q);
    return sum;
  };
  const Index n = std::ssize(kept);
  const Array<double> K(n * n), L = Array<double>::zeros(n * n);
  std::vector<double> right(kept.size());
  for (Index i = 0; i < n; ++i) {
    const Index row = kept[static_cast<std::size_t>(i)];
    for (Index j = 0; j <= i; ++j) K[i * n + j] = block.K(row, kept[static_cast<std::size_t>(j)]);
    right[static_cast<std::size_t>(i)] = product(row);
  }
  factor_shifted({K.data(), n, n}, block.shift(), {L.data(), n, n}, {.n_threads = n_threads});
  std::vector<double> solution = right;
  solve_shifted({L.data(), n, n}, {solution.data(), n, 1}, n_threads);
  double twice = 0;
  for (const Index q : pruned) twice += weight(q) * product(q);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    step[static_cast<std::size_t>(kept[i])] = static_cast<T>(solution[i]);
    twice -= right[i] * solution[i];
  }
  return twice / (2 * block.normalization);
}

}  // namespace

template <class T>
double joint_step(const FisherBlocks& blocks, const Block& block, std::span<const T> w,
                  std::span<const std::uint8_t> prune, std::span<T> step, Pass pass) {
  if (std::none_of(prune.begin(), prune.end(), [](std::uint8_t flag) { return flag != 0; })) {
    std::fill(step.begin(), step.end(), T{0});
    return 0;
  }
  const double loss_increase = block.by_gradients ? step_by_gradients(blocks, block, w, prune, step, pass)
                                                  : step_by_parameters(block, w, prune, step, pass.n_threads);
  for (std::size_t j = 0; j < w.size(); ++j)
    if (prune[j] != 0) step[j] = -w[j];
  return loss_increase;
}

template double joint_step(const FisherBlocks&, const Block&, std::span<const float>, std::span<const std::uint8_t>,
                           std::span<float>, Pass);
template double joint_step(const FisherBlocks&, const Block&, std::span<const double>, std::span<const std::uint8_t>,
                           std::span<double>, Pass);

}  // namespace nearlinear::fisher

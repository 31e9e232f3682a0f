// Products and systems with sparse plans.
#include "ot/bipartite_laplacian.hpp"

#include <algorithm>

#include "core/arithmetic.hpp"
#include "ot/laplacian_kernels.hpp"

namespace nearlinear::ot {
namespace {

/// body(k) for k in [0, count), in blocks, on as many threads as that is worth.
template <class Body>
void for_each(Index count, double nanoseconds, RowPasses& passes, const Body& body) {
  constexpr Index block = 256;
  const int threads = thread_count(passes.n_threads(), static_cast<Index>(nanoseconds));
  parallel_for(ceil_divide(count, block), threads, passes.monitor(), [&](Index b) {
    for (Index k = b * block; k < std::min(count, (b + 1) * block); ++k) body(k);
  });
}

}  // namespace

BipartiteLaplacian::BipartiteLaplacian(const Problem& problem, RowPasses& passes, PlanMemory& memory)
    : problem_(problem),
      passes_(passes),
      memory_(memory),
      indptr_(problem.rows() + 1),
      col_indptr_(problem.cols() + 1),
      row_values_(problem.rows()) {}

void BipartiteLaplacian::make_room() {
  const Index room = memory_.indices.size() < nnz() ? nnz() + nnz() / 4 : nnz();  // for the steps to come
  reserve(memory_.indices, room);
  reserve(memory_.values, room);
}

double BipartiteLaplacian::entries_per_column() const {
  double entries = 0;
  for (Index i = 0; i < problem_.rows(); ++i) {
    const auto count = static_cast<double>(indptr_[i + 1] - indptr_[i]);
    entries += count * count;
  }
  return entries / static_cast<double>(problem_.cols());
}

void BipartiteLaplacian::transpose() {
  const Index m = problem_.cols();
  reserve(memory_.row_indices, memory_.indices.size());
  reserve(memory_.col_values, memory_.indices.size());
  std::fill(col_indptr_.begin(), col_indptr_.end(), Index{0});
  for (Index k = 0; k < nnz(); ++k) ++col_indptr_[memory_.indices[k] + 1];
  for (Index j = 0; j < m; ++j) col_indptr_[j + 1] += col_indptr_[j];
  for (Index i = 0; i < problem_.rows(); ++i)
    for (Index k = indptr_[i]; k < indptr_[i + 1]; ++k) {
      const Index place = col_indptr_[memory_.indices[k]]++;
      memory_.row_indices[place] = static_cast<std::int32_t>(i);
      memory_.col_values[place] = memory_.values[k];
    }
  std::copy_backward(col_indptr_.begin(), col_indptr_.begin() + m, col_indptr_.begin() + m + 1);
  col_indptr_[0] = 0;
}

void BipartiteLaplacian::multiply(std::span<const double> w, std::span<const double> x, std::span<double> y) {
  const auto nanoseconds = static_cast<double>(nnz());
  for_each(problem_.rows(), nanoseconds, passes_, [&](Index i) {
    const Index begin = indptr_[i];
    row_values_[i] = w[static_cast<std::size_t>(i)] * kernels().sparse_dot(memory_.values.data() + begin,
                                                                           memory_.indices.data() + begin,
                                                                           indptr_[i + 1] - begin, x.data());
  });
  for_each(problem_.cols(), nanoseconds, passes_, [&](Index j) {
    const Index begin = col_indptr_[j];
    y[static_cast<std::size_t>(j)] =
        kernels().sparse_dot(memory_.col_values.data() + begin, memory_.row_indices.data() + begin,
                             col_indptr_[j + 1] - begin, row_values_.data());
  });
}

void BipartiteLaplacian::subtract_diagonal(std::span<const double> w, std::span<double> diagonal) const {
  for (Index i = 0; i < problem_.rows(); ++i)
    for (Index k = indptr_[i]; k < indptr_[i + 1]; ++k)
      diagonal[static_cast<std::size_t>(memory_.indices[k])] -=
          memory_.values[k] * memory_.values[k] * w[static_cast<std::size_t>(i)];
}

bool BipartiteLaplacian::factor(std::span<const double> w, std::span<const double> d, bool grounded,
                                std::span<const double> r, std::span<double> x) const {
  return nearlinear_laplacians_base.solve(problem_.rows(), problem_.cols(), indptr_.data(), memory_.indices.data(),
                                          memory_.values.data(), w.data(), d.data(), grounded, r.data(), x.data());
}

}  // namespace nearlinear::ot

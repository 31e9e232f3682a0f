// Products and systems with the semi-dual's Hessian.
#include "ot/schur_complement.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/arithmetic.hpp"
#include "ot/laplacian_kernels.hpp"

namespace nearlinear::ot {
namespace {

// Entries of a sparse plan, 24 bytes each, and of a stored one, 4 bytes each. Who gives points has no room for a
// matrix.
constexpr Index most_kept = Index{1} << 24;
constexpr Index most_kept_of_points = Index{1} << 23;
constexpr double most_stored = double{1 << 27};
constexpr double most_stored_of_points = double{1 << 24};
constexpr double full = 0.2;  // density from which on stored rows are faster than compressed ones

double sum_of_magnitudes(std::span<const double> x) {
  return std::accumulate(x.begin(), x.end(), 0.0, [](double sum, double entry) { return sum + std::abs(entry); });
}

/// out(k) for k in [0, count), in blocks, on as many threads as that is worth.
template <class Body>
void for_each(Index count, double nanoseconds, RowPasses& passes, const Body& body) {
  constexpr Index block = 256;
  const int threads = thread_count(passes.n_threads(), static_cast<Index>(nanoseconds));
  parallel_for(ceil_divide(count, block), threads, passes.monitor(), [&](Index b) {
    for (Index k = b * block; k < std::min(count, (b + 1) * block); ++k) body(k);
  });
}

}  // namespace

SchurComplement::SchurComplement(const Problem& problem, RowPasses& passes, PlanMemory& memory, double memory_share)
    : problem_(problem),
      passes_(passes),
      memory_(memory),
      memory_share_(memory_share),
      col_sums_(problem.cols()),
      targets_(problem.cols()),
      diagonal_(problem.cols()),
      jacobi_(problem.cols()),
      row_weights_(problem.rows()),
      row_threshold_(problem.rows()),
      indptr_(problem.rows() + 1),
      col_indptr_(problem.cols() + 1),
      u_(problem.rows()),
      v_(problem.cols()),
      row_values_(problem.rows()),
      scaled_(problem.cols()),
      residual_(problem.cols()),
      z_(problem.cols()),
      p_(problem.cols()),
      q_(problem.cols()) {}

float* SchurComplement::rows() {
  const double most = problem_.costs.is_computed() ? most_stored_of_points : most_stored;
  if (problem_.pairs() > memory_share_ * most) return nullptr;
  reserve(memory_.stored, problem_.rows() * problem_.cols());
  return memory_.stored.data();
}

void SchurComplement::keep(double reg, const Iterate& at) {
  reg_ = reg;
  const auto copy = [](const std::vector<double>& from, Array<double>& to) {
    reserve(to, std::ssize(from));
    std::copy(from.begin(), from.end(), to.begin());
  };
  copy(at.f, kept_f_);
  copy(at.g, kept_g_);
  copy(at.r, kept_r_);
  is_kept_ = true;
}

void SchurComplement::scale_rows(std::span<const double> v, std::span<double> u, std::span<double> c) {
  constexpr double nanoseconds = 0.4;
  const Index m = problem_.cols();
  const double* const a = problem_.a.data();
  passes_.sum_groups(nanoseconds, c.data(), [&](Index begin, Index end, double* sums) {
    kernels().divide_pass(memory_.stored.data() + begin * m, end - begin, m, v.data(), a + begin, u.data() + begin,
                          sums);
  });
  for (std::size_t i = 0; i < u.size(); ++i) u[i] /= a[i];
  for (std::size_t j = 0; j < c.size(); ++j) c[j] *= v[j];
}

Index SchurComplement::count_kept(double threshold) {
  const double smallest = std::accumulate(r_.begin(), r_.end(), 0.0) / static_cast<double>(problem_.cols());
  passes_.for_rows(0.3, [&](Index i, const RowScratch& scratch) {
    const double least = threshold * std::min(r_[static_cast<std::size_t>(i)], smallest);
    row_threshold_[i] = reg_ * std::log(least);
    Index count = 0;
    problem_.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index size) {
      count +=
          row_kernels<T>().count(cost, g_.data() + first, size, f_[static_cast<std::size_t>(i)], row_threshold_[i]);
    });
    indptr_[i + 1] = count;
  });
  indptr_[0] = 0;
  for (Index i = 0; i < problem_.rows(); ++i) indptr_[i + 1] += indptr_[i];
  return indptr_[problem_.rows()];
}

void SchurComplement::build(double reg, const Iterate& at, double threshold) {
  constexpr double largest_step = 30;  // e^30 between a stored plan and the present one: floats have room for it
  const std::vector<double>&f = at.f, &g = at.g;
  f_ = f;
  g_ = g;
  r_ = at.r;
  std::copy(at.c.begin(), at.c.end(), col_sums_.begin());
  std::copy(at.targets.begin(), at.targets.end(), targets_.begin());
  const double share = 1 / (1 + reg / problem_.rho_a);
  std::transform(at.r.begin(), at.r.end(), row_weights_.begin(), [share](double r) { return share / r; });
  if (is_kept_ && reg_ == reg) {
    double largest = 0;
    for (std::size_t j = 0; j < g.size(); ++j) {
      const double step = (g[j] - kept_g_[static_cast<Index>(j)]) / reg;
      largest = std::max(largest, std::abs(step));
      v_[static_cast<Index>(j)] = std::exp(std::min(step, largest_step));
    }
    for (std::size_t i = 0; i < f.size(); ++i) {
      const double step = (f[i] - kept_f_[static_cast<Index>(i)]) / reg;
      largest = std::max(largest, std::abs(step));
      u_[static_cast<Index>(i)] = std::exp(std::min(step, largest_step));
    }
    if (largest <= largest_step) {
      form_ = Form::stored;
      nnz_ = problem_.rows() * problem_.cols();
      return;
    }
  }
  is_kept_ = false;
  reg_ = reg;
  nnz_ = count_kept(threshold);
  if (takes_floats_ && static_cast<double>(nnz_) > full * problem_.pairs() && rows() != nullptr) {
    std::vector<double> same = f, row_sums(f.size()), sums(g.size());
    passes_.fit_rows(reg, g, same, row_sums, sums, rows());
    keep(reg, at);
    std::fill(u_.begin(), u_.end(), 1.0);
    std::fill(v_.begin(), v_.end(), 1.0);
    form_ = Form::stored;
    nnz_ = problem_.rows() * problem_.cols();
  } else if (static_cast<double>(nnz_) >
             memory_share_ * static_cast<double>(problem_.costs.is_computed() ? most_kept_of_points : most_kept)) {
    form_ = Form::computed;
    nnz_ = problem_.rows() * problem_.cols();
  } else {
    form_ = Form::sparse;
    collect();
  }
}

void SchurComplement::collect() {
  const Index room = memory_.indices.size() < nnz_ ? nnz_ + nnz_ / 4 : nnz_;  // for the steps to come
  reserve(memory_.indices, room);
  reserve(memory_.values, room);
  passes_.for_rows(0.5, [&](Index i, const RowScratch& scratch) {
    // Compressed rows may write a little beyond their end: collected apart, then copied.
    Index collected = indptr_[i];
    std::int32_t numbers[Costs::tile + 8];
    problem_.costs.for_tiles(i, scratch.tile, [&]<class T>(const T* cost, Index first, Index size) {
      const Index count =
          row_kernels<T>().collect(cost, g_.data() + first, size, f_[static_cast<std::size_t>(i)], row_threshold_[i],
                                   static_cast<std::int32_t>(first), numbers, scratch.t);
      std::copy_n(numbers, count, memory_.indices.data() + collected);
      std::copy_n(scratch.t, count, memory_.values.data() + collected);
      collected += count;
    });
    kernels().exponentials_of(memory_.values.data() + indptr_[i], collected - indptr_[i], 1 / reg_);
  });
}

double SchurComplement::entries_per_column() const {
  double entries = 0;
  for (Index i = 0; i < problem_.rows(); ++i) {
    const auto count = static_cast<double>(indptr_[i + 1] - indptr_[i]);
    entries += count * count;
  }
  return entries / static_cast<double>(problem_.cols());
}

void SchurComplement::transpose() {
  const Index m = problem_.cols();
  reserve(memory_.row_indices, memory_.indices.size());
  reserve(memory_.col_values, memory_.indices.size());
  std::fill(col_indptr_.begin(), col_indptr_.end(), Index{0});
  for (Index k = 0; k < nnz_; ++k) ++col_indptr_[memory_.indices[k] + 1];
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

void SchurComplement::multiply(std::span<const double> x, std::span<double> y) {
  const Index n = problem_.rows(), m = problem_.cols();
  switch (form_) {
    case Form::sparse: {
      const double nanoseconds = static_cast<double>(nnz_);
      for_each(n, nanoseconds, passes_, [&](Index i) {
        const Index begin = indptr_[i];
        row_values_[i] =
            row_weights_[i] * kernels().sparse_dot(memory_.values.data() + begin, memory_.indices.data() + begin,
                                                   indptr_[i + 1] - begin, x.data());
      });
      for_each(m, nanoseconds, passes_, [&](Index j) {
        const Index begin = col_indptr_[j];
        y[static_cast<std::size_t>(j)] =
            kernels().sparse_dot(memory_.col_values.data() + begin, memory_.row_indices.data() + begin,
                                 col_indptr_[j + 1] - begin, row_values_.data());
      });
      break;
    }
    case Form::stored: {
      // P = diag(kept_r u) K diag(v).
      for (Index j = 0; j < m; ++j) scaled_[j] = v_[j] * x[static_cast<std::size_t>(j)];
      passes_.sum_groups(0.4, y.data(), [&](Index begin, Index end, double* sums) {
        double weights[64], products[64];  // of as many rows as there are between two polls
        for (Index i = begin; i < end; ++i) {
          const double scale = kept_r_[i] * u_[i];
          weights[i - begin] = scale * scale * row_weights_[i];
        }
        kernels().multiply_pass(memory_.stored.data() + begin * m, end - begin, m, scaled_.data(), weights, products,
                                sums);
      });
      for (Index j = 0; j < m; ++j) y[static_cast<std::size_t>(j)] *= v_[j];
      break;
    }
    case Form::computed:
      passes_.normal_product(reg_, f_.data(), g_.data(), x.data(), row_weights_.data(), y.data());
      break;
  }
  for (Index j = 0; j < m; ++j) {
    double& entry = y[static_cast<std::size_t>(j)];
    entry = diagonal_[j] * x[static_cast<std::size_t>(j)] - entry;
  }
}

void SchurComplement::set_diagonal(double lambda) {
  constexpr double least = 1e-12;  // of the diagonal, where rounding leaves nothing of it
  const Index n = problem_.rows(), m = problem_.cols();
  for (Index j = 0; j < m; ++j) diagonal_[j] = col_sums_[j] + lambda * targets_[j];
  std::copy(diagonal_.begin(), diagonal_.end(), z_.begin());
  if (form_ == Form::sparse) {
    transpose();
    for (Index i = 0; i < n; ++i)
      for (Index k = indptr_[i]; k < indptr_[i + 1]; ++k)
        z_[memory_.indices[k]] -= memory_.values[k] * memory_.values[k] * row_weights_[i];
  }
  for (Index j = 0; j < m; ++j) jacobi_[j] = 1 / std::max(z_[j], least * diagonal_[j]);
}

Index SchurComplement::solve(double lambda, std::span<const double> residual, double tol, std::span<double> d) {
  const Index n = problem_.rows(), m = problem_.cols();
  for (Index j = 0; j < m; ++j) diagonal_[j] = col_sums_[j] + lambda * targets_[j];
  // Factors of a tree have no more entries than the tree; those of a random graph are full.
  constexpr double of_a_tree = 8, of_what_may_be_factored = 40;
  constexpr Index few_iterations = 400, many_iterations = 3000;
  const auto factor = [&] {
    return nearlinear_laplacians_base.solve(n, m, indptr_.data(), memory_.indices.data(), memory_.values.data(),
                                            row_weights_.data(), diagonal_.data(), !problem_.is_soft(), residual.data(),
                                            d.data());
  };
  const double entries = form_ == Form::sparse ? entries_per_column() : most_stored;
  if (entries < of_a_tree && factor()) return 0;
  set_diagonal(lambda);
  const bool may_factor = entries < of_what_may_be_factored;
  const Index most = may_factor ? few_iterations : many_iterations;
  const Index iterations = solve_by_conjugate_gradients(residual, tol, most, d);
  if (may_factor && iterations == most) {
    std::copy(d.begin(), d.end(), z_.begin());
    if (!factor()) std::copy(z_.begin(), z_.end(), d.begin());
  }
  return iterations;
}

Index SchurComplement::solve_by_conjugate_gradients(std::span<const double> residual, double tol, Index most_iterations,
                                                    std::span<double> d) {
  const Index m = problem_.cols();
  const double goal = tol * sum_of_magnitudes(residual);
  std::copy(residual.begin(), residual.end(), residual_.begin());
  std::fill(d.begin(), d.end(), 0.0);
  double rho = 0;
  for (Index j = 0; j < m; ++j) {
    p_[j] = jacobi_[j] * residual_[j];
    rho += p_[j] * residual_[j];
  }
  for (Index iteration = 1; iteration <= most_iterations; ++iteration) {
    multiply(p_.span(), q_.span());
    const double curvature = std::inner_product(p_.begin(), p_.end(), q_.begin(), 0.0);
    if (!(curvature > 0)) return iteration;  // the null space is all that is left
    const double alpha = rho / curvature, before = rho;
    double norm = 0;
    rho = 0;
    for (Index j = 0; j < m; ++j) {
      d[static_cast<std::size_t>(j)] += alpha * p_[j];
      residual_[j] -= alpha * q_[j];
      norm += std::abs(residual_[j]);
      z_[j] = jacobi_[j] * residual_[j];
      rho += z_[j] * residual_[j];
    }
    if (norm <= goal) return iteration;
    const double beta = rho / before;
    for (Index j = 0; j < m; ++j) p_[j] = z_[j] + beta * p_[j];
  }
  return most_iterations;
}

}  // namespace nearlinear::ot

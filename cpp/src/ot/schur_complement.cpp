// Products and systems with the semi-dual's Hessian.
#include "ot/schur_complement.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nearlinear::ot {
namespace {

// Entries of a sparse plan, 24 bytes each, and of a stored one, 4 bytes each. Who gives points has no room for a
// matrix.
constexpr Index most_kept = Index{1} << 24;
constexpr Index most_kept_of_points = Index{1} << 23;
constexpr double most_stored = double{1 << 27};
constexpr double most_stored_of_points = double{1 << 24};
constexpr double full = 0.2;  // density from which on stored rows are faster than compressed ones

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
      sparse_(problem, passes, memory),
      u_(problem.rows()),
      v_(problem.cols()),
      scaled_(problem.cols()),
      vectors_(problem.cols()) {}

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
  const auto indptr = sparse_.indptr();
  passes_.for_rows(0.3, [&](Index row, const RowScratch& scratch) {
    const auto i = static_cast<std::size_t>(row);
    row_threshold_[row] = reg_ * std::log(threshold * std::min(r_[i], smallest));
    Index count = 0;
    problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index size) {
      count += row_kernels<T>().count(cost, g_.data() + first, size, f_[i], row_threshold_[row]);
    });
    indptr[i + 1] = count;
  });
  indptr[0] = 0;
  std::partial_sum(indptr.begin(), indptr.end(), indptr.begin());
  return sparse_.nnz();
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
  sparse_.make_room();
  const auto indptr = sparse_.indptr();
  passes_.for_rows(0.5, [&](Index row, const RowScratch& scratch) {
    // Compressed rows may write a little beyond their end: collected apart, then copied.
    const auto i = static_cast<std::size_t>(row);
    Index collected = indptr[i];
    std::int32_t numbers[Costs::tile + 8];
    problem_.costs.for_tiles(row, scratch.tile, [&]<class T>(const T* cost, Index first, Index size) {
      const Index count = row_kernels<T>().collect(cost, g_.data() + first, size, f_[i], row_threshold_[row],
                                                   static_cast<std::int32_t>(first), numbers, scratch.t);
      std::copy_n(numbers, count, sparse_.indices().data() + collected);
      std::copy_n(scratch.t, count, sparse_.values().data() + collected);
      collected += count;
    });
    kernels().exponentials_of(sparse_.values().data() + indptr[i], collected - indptr[i], 1 / reg_);
  });
}

void SchurComplement::multiply(std::span<const double> x, std::span<double> y) {
  const Index m = problem_.cols();
  switch (form_) {
    case Form::sparse:
      sparse_.multiply(row_weights_.span(), x, y);
      break;
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
  const Index m = problem_.cols();
  for (Index j = 0; j < m; ++j) jacobi_[j] = diagonal_[j] = col_sums_[j] + lambda * targets_[j];
  if (form_ == Form::sparse) {
    sparse_.transpose();
    sparse_.subtract_diagonal(row_weights_.span(), jacobi_.span());
  }
  for (Index j = 0; j < m; ++j) jacobi_[j] = 1 / std::max(jacobi_[j], least * diagonal_[j]);
}

Index SchurComplement::solve(double lambda, std::span<const double> residual, double tol, std::span<double> d) {
  // Factors of a tree have no more entries than the tree; those of a random graph are full.
  constexpr double of_a_tree = 8, of_what_may_be_factored = 40;
  constexpr Index few_iterations = 400, many_iterations = 3000;
  const bool is_grounded = !problem_.is_soft();
  const double entries = form_ == Form::sparse ? sparse_.entries_per_column() : most_stored;
  const auto factor = [&](std::span<double> x) {
    return sparse_.factor(row_weights_.span(), diagonal_.span(), is_grounded, residual, x);
  };
  if (entries < of_a_tree) {
    for (Index j = 0; j < problem_.cols(); ++j) diagonal_[j] = col_sums_[j] + lambda * targets_[j];
    if (factor(d)) return 0;
  }
  set_diagonal(lambda);
  const bool may_factor = entries < of_what_may_be_factored;
  const Index most = may_factor ? few_iterations : many_iterations;
  const Index iterations =
      conjugate_gradients([this](std::span<const double> x, std::span<double> y) { multiply(x, y); }, jacobi_.span(),
                          residual, tol, most, vectors_, d);
  if (may_factor && iterations == most && factor(vectors_.z.span()))
    std::copy(vectors_.z.begin(), vectors_.z.end(), d.begin());
  return iterations;
}

}  // namespace nearlinear::ot

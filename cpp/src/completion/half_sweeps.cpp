// Blocks of lines on several threads. What a line becomes depends on it and on the other factor alone.
#include "completion/half_sweeps.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/batched_kernels.hpp"
#include "linalg/rates.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear::completion {
namespace {

constexpr Index group = 8;  // lines whose normal equations are solved together

/// The ridge of every unknown.
void fill_ridge(const PaddedFactor& factor, const Ridge& ridge, double* values) {
  std::fill_n(values, factor.stride, 0.0);
  std::fill_n(values, factor.rank, ridge.factors);
  if (factor.has_bias) values[factor.rank] = ridge.biases;
}

/// The largest absolute value in every column; 1 where there is none, and where a line sees its own bias.
Array<double> units_of(const PaddedFactor& factor) {
  Array<double> units = Array<double>::zeros(factor.stride);
  for (Index i = 0; i < factor.lines; ++i)
    for (Index k = 0; k < factor.stride; ++k) units[k] = std::max(units[k], std::abs(factor.row(i)[k]));
  for (Index k = 0; k < factor.stride; ++k)
    if (k >= factor.rank || units[k] == 0) units[k] = 1;
  return units;
}

double largest_diagonal(const double* G, Index unknowns, Index stride) {
  double largest = 0;
  for (Index k = 0; k < unknowns; ++k) largest = std::max(largest, G[k * stride + k]);
  return largest;
}

/// min x^T G x / 2 - b^T x, x >= 0, by coordinate descent from x; G has its lower triangle.
void solve_nonnegative(Index unknowns, Index stride, double* G, const double* b, double* x) {
  constexpr int most_sweeps = 500;
  constexpr double tol = 1e-14;
  for (Index p = 0; p < unknowns; ++p)
    for (Index q = p + 1; q < unknowns; ++q) G[p * stride + q] = G[q * stride + p];
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    double change = 0, size = 0;
    for (Index p = 0; p < unknowns; ++p) {
      const double diagonal = G[p * stride + p];
      double slope = b[p];
      for (Index q = 0; q < unknowns; ++q) slope -= G[p * stride + q] * x[q];
      const double next = diagonal > 0 ? std::max(0.0, x[p] + slope / diagonal) : 0.0;
      change = std::max(change, std::abs(next - x[p]));
      size = std::max(size, next);
      x[p] = next;
    }
    if (change <= tol * size) return;
  }
}

}  // namespace

PaddedFactor::PaddedFactor(Index lines_in, Index rank_in, bool has_bias_in)
    : lines(lines_in),
      rank(rank_in),
      has_bias(has_bias_in),
      unknowns(rank_in + (has_bias_in ? 1 : 0)),
      stride(std::max<Index>(8, ceil_divide(unknowns, 8) * 8)),
      data(Array<double>::zeros(checked_product(std::max<Index>(1, lines_in), stride))) {}

PaddedFactor PaddedFactor::copy() const {
  PaddedFactor result(lines, rank, has_bias);
  std::copy_n(data.data(), size(), result.data.data());
  return result;
}

Lines lines_of(const Side& side, Index first, Index count) {
  return {side.begin.data() + first, count, side.at.data(), side.value.data(),
          side.root_weight.size() > 0 ? side.root_weight.data() : nullptr};
}

Factor factor_of(const PaddedFactor& factor) {
  return {factor.data.data(), factor.stride, factor.unknowns, factor.has_bias};
}

double penalty(const PaddedFactor& factor, const Ridge& ridge) {
  if (ridge.factors == 0 && (ridge.biases == 0 || !factor.has_bias)) return 0;
  double factors = 0, biases = 0;
  for (Index i = 0; i < factor.lines; ++i) {
    const double* const row = factor.row(i);
    double sum = 0;
    for (Index k = 0; k < factor.rank; ++k) sum += row[k] * row[k];
    factors += sum;
    if (factor.has_bias) biases += row[factor.rank] * row[factor.rank];
  }
  return ridge.factors * factors + ridge.biases * biases;
}

HalfSweeps::HalfSweeps(const Observations& observed, bool is_implicit, const RunOptions& run)
    : observed_(observed), is_implicit_(is_implicit), n_threads_(run.n_threads), monitor_(run.keep_going) {}

double* HalfSweeps::scratch(int worker, Index size) {
  Scratch& own = scratch_[static_cast<std::size_t>(worker)];
  if (own.numbers.size() < size) own.numbers = Array<double>(size);
  if (own.status.size() == 0) own.status = Array<Index>(group);
  return own.numbers.data();
}

void HalfSweeps::for_blocks(const Side& side, double operations,
                            const std::function<void(Index, Index, Index, int)>& body) {
  const auto entries = static_cast<double>(side.value.size() + 16 * side.lines);
  const int threads = linalg::threads_at(linalg::reflection_rate, n_threads_, entries, operations);
  if (scratch_.size() < static_cast<std::size_t>(threads)) scratch_.resize(static_cast<std::size_t>(threads));
  parallel_for_workers(side.lines == 0 ? 0 : side.blocks(), threads, monitor_, [&](Index block, int worker) {
    body(block, side.block[block], side.block[block + 1] - side.block[block], worker);
  });
}

double HalfSweeps::sum_of_squares(const Side& side) const {
  double total = 0;
  for (Index b = 0; b < (side.lines == 0 ? 0 : side.blocks()); ++b) {
    double part = 0;
    for (Index i = side.block[b]; i < side.block[b + 1]; ++i) part += squares_[i];
    total += part;
  }
  return total;
}

void HalfSweeps::solve_exactly(const Side& side, const PaddedFactor& other, PaddedFactor* own, const Ridge& ridge,
                               bool wants_squares, double damping, double* inverses, double* added,
                               bool is_nonnegative) {
  const Index stride = other.stride, unknowns = other.unknowns;
  const auto& kernel = kernels();
  const auto& batched = linalg::batched_kernels_for<double>();
  const Index solves = inverses != nullptr ? std::max<Index>(unknowns, 1) : 1;
  const Index matrix = stride * stride, batched_size = linalg::batched_scratch(batched.lanes, unknowns, solves);
  const Index size = group * (matrix + 2 * stride) + stride + group + panel_size(stride) + batched_size +
                     (inverses != nullptr ? group * matrix : 0) + 64;
  Array<double> ridges(stride);
  fill_ridge(other, ridge, ridges.data());
  const bool is_singular = ridge.factors == 0 || (other.has_bias && ridge.biases == 0);
  const auto cost = static_cast<double>(unknowns * (unknowns + 16));
  for_blocks(side, cost, [&](Index, Index first, Index count, int worker) {
    double* const gram = scratch(worker, size);
    double* const rhs = gram + group * matrix;
    double* const solution = rhs + group * stride;
    double* const identity = solution + group * stride;
    double* const panel = identity + (inverses != nullptr ? group * matrix : 0);
    double* const rest = panel + ceil_divide(panel_size(stride), 8) * 8;
    Index* const status = scratch_[static_cast<std::size_t>(worker)].status.data();
    for (Index begin = first; begin < first + count; begin += group) {
      const Index lines = std::min(group, first + count - begin);
      double* const squares = squares_.data() + begin;
      kernel.normal_equations(lines_of(side, begin, lines), factor_of(other), gram, rhs, squares, panel);
      for (Index l = 0; l < lines; ++l) {
        double* const G = gram + l * matrix;
        double* const b = rhs + l * stride;
        if (is_implicit_)
          for (Index p = 0; p < unknowns; ++p)
            for (Index q = 0; q <= p; ++q) G[p * stride + q] += common_[p * stride + q];
        // A ridge towards the line as it is moves no fixed point, and bounds what rounding leaves of small pivots.
        // Lines of too few entries have the solution of least norm.
        double shift = 0;
        constexpr double rounding = 1e-15, least_norm = 1e-10;
        if (is_singular) {
          const bool is_short = side.count(begin + l) < unknowns && !is_implicit_;
          shift = (is_short ? least_norm : rounding) * largest_diagonal(G, unknowns, stride);
          if (shift == 0) shift = 1;
          if (!is_short && own != nullptr)
            for (Index k = 0; k < unknowns; ++k) b[k] += shift * own->row(begin + l)[k];
        }
        if (damping > 0) {
          double trace = 0;
          for (Index k = 0; k < unknowns; ++k) trace += G[k * stride + k];
          const double more = damping * trace / static_cast<double>(unknowns);
          added[begin + l] = more;
          shift += more;
        }
        for (Index k = 0; k < unknowns; ++k) G[k * stride + k] += ridges[k] + shift;
      }
      if (own != nullptr && is_nonnegative) {
        for (Index l = 0; l < lines; ++l)
          solve_nonnegative(unknowns, stride, gram + l * matrix, rhs + l * stride, own->row(begin + l));
        continue;
      }
      if (own != nullptr) {
        batched.cholesky_solve(lines, unknowns, 1, {gram, stride, matrix}, 0.0, {rhs, 1, stride}, {solution, 1, stride},
                               status, rest);
        for (Index l = 0; l < lines; ++l) {
          double* const u = own->row(begin + l);
          const double* const b = rhs + l * stride;
          if (status[l] == 0) std::copy_n(solution + l * stride, unknowns, u);
          if (!wants_squares) continue;
          double left = squares[l];
          for (Index k = 0; k < unknowns; ++k) left -= u[k] * b[k] + ridges[k] * u[k] * u[k];
          constexpr double cancelled = 1e-6;
          const bool is_short = is_singular && side.count(begin + l) < unknowns;
          if (status[l] != 0 || is_short || is_implicit_ || !(left > cancelled * squares[l]))
            kernel.residuals(lines_of(side, begin + l, 1), factor_of(other), u, &squares[l], nullptr, nullptr, panel);
          else
            squares[l] = left;
        }
      }
      if (inverses == nullptr) continue;
      for (Index l = 0; l < lines; ++l) {
        double* const I = identity + l * matrix;
        std::fill_n(I, matrix, 0.0);
        for (Index k = 0; k < unknowns; ++k) I[k * stride + k] = 1;
      }
      batched.cholesky_solve(lines, unknowns, unknowns, {gram, stride, matrix}, 0.0, {identity, stride, matrix},
                             {identity, stride, matrix}, status, rest);
      for (Index l = 0; l < lines; ++l) {
        double* const to = inverses + (begin + l) * unknowns * stride;
        std::copy_n(identity + l * matrix, unknowns * stride, to);
        if (status[l] != 0) std::fill_n(to, unknowns * stride, 0.0);
      }
    }
  });
}

double HalfSweeps::update(const Side& side, const PaddedFactor& other, PaddedFactor& own, const Ridge& ridge,
                          const LineMethod& method, bool wants_squares) {
  if (squares_.size() < side.lines) squares_ = Array<double>(side.lines);
  const Index stride = other.stride, unknowns = other.unknowns;
  if (is_implicit_) {
    common_ = Array<double>::zeros(stride * stride);
    gram<double, double>(other.matrix(), {common_.data(), unknowns, unknowns, stride}, {.n_threads = n_threads_});
  }
  if (unknowns == 0) return residuals(side, other, own, nullptr);
  switch (method.solver) {
    case LineSolver::cholesky:
    case LineSolver::nonnegative:
      solve_exactly(side, other, &own, ridge, wants_squares, 0, nullptr, nullptr,
                    method.solver == LineSolver::nonnegative);
      if (method.solver == LineSolver::nonnegative && wants_squares) return residuals(side, other, own, nullptr);
      break;
    case LineSolver::sketch:
    case LineSolver::conjugate_gradients: {
      Array<double> ridges(stride);
      fill_ridge(other, ridge, ridges.data());
      const auto cost = static_cast<double>(unknowns * (4 * method.steps + 8));
      const Array<double> units = units_of(other);
      for_blocks(side, cost, [&](Index, Index first, Index count, int worker) {
        if (method.solver == LineSolver::sketch) {
          double* const panel = scratch(worker, sketched_size(side.longest, stride));
          kernels().sketched(lines_of(side, first, count), factor_of(other), ridges.data(), method.tol, method.seed,
                             first, own.row(first), squares_.data() + first, panel);
          return;
        }
        double* const panel = scratch(worker, gradients_size(side.longest, stride));
        kernels().conjugate_gradients(lines_of(side, first, count), factor_of(other), units.data(), ridges.data(),
                                      is_implicit_ ? common_.data() : nullptr, method.steps, own.row(first),
                                      squares_.data() + first, panel);
      });
      break;
    }
  }
  return wants_squares ? sum_of_squares(side) : std::numeric_limits<double>::quiet_NaN();
}

double HalfSweeps::objective(double square_sum, const PaddedFactor& U, const PaddedFactor& V,
                             const Ridge& ridge) const {
  double twice = square_sum + penalty(U, ridge) + penalty(V, ridge);
  if (is_implicit_) {
    const Index k = U.rank;
    const Array<double> left(k * k), right(k * k);
    gram<double, double>(U.matrix(), {left.data(), k, k}, {.n_threads = n_threads_});
    gram<double, double>(V.matrix(), {right.data(), k, k}, {.n_threads = n_threads_});
    for (Index t = 0; t < k * k; ++t) twice += left[t] * right[t];
  }
  return 0.5 * twice;
}

double HalfSweeps::update_with_inverses(const Side& side, const PaddedFactor& other, PaddedFactor& own,
                                        const Ridge& ridge, double* inverses) {
  if (squares_.size() < side.lines) squares_ = Array<double>(side.lines);
  solve_exactly(side, other, &own, ridge, false, 0, inverses, nullptr, false);
  return std::numeric_limits<double>::quiet_NaN();
}

void HalfSweeps::inverses(const Side& side, const PaddedFactor& other, const Ridge& ridge, double damping,
                          double* inverses, double* added) {
  if (squares_.size() < side.lines) squares_ = Array<double>(side.lines);
  solve_exactly(side, other, nullptr, ridge, false, damping, inverses, added, false);
}

double HalfSweeps::residuals(const Side& side, const PaddedFactor& other, const PaddedFactor& own, double* gradient,
                             double* errors) {
  if (squares_.size() < side.lines) squares_ = Array<double>(side.lines);
  for_blocks(side, static_cast<double>(4 * other.stride), [&](Index, Index first, Index count, int worker) {
    kernels().residuals(lines_of(side, first, count), factor_of(other), own.row(first), squares_.data() + first,
                        gradient == nullptr ? nullptr : gradient + first * other.stride, errors,
                        panel(worker, other.stride));
  });
  return sum_of_squares(side);
}

}  // namespace nearlinear::completion

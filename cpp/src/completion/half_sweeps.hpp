/// Updates of one factor with the other one held fixed.
#pragma once

#include "completion/kernels.hpp"
#include "completion/observations.hpp"

namespace nearlinear::completion {

/// A factor as the kernels want it: rows `stride` apart, of which `rank` entries are those of U, or V, one more is the
/// line's bias if there are biases, and all others are 0.
struct PaddedFactor {
  Index lines = 0;
  Index rank = 0;
  bool has_bias = false;
  Index unknowns = 0;
  Index stride = 0;
  Array<double> data = {};

  PaddedFactor() = default;
  PaddedFactor(Index lines_in, Index rank_in, bool has_bias_in);
  [[nodiscard]] double* row(Index i) const { return data.data() + i * stride; }
  [[nodiscard]] Index size() const { return lines * stride; }
  [[nodiscard]] MatrixView<double> matrix() const { return {data.data(), lines, rank, stride}; }
  [[nodiscard]] PaddedFactor copy() const;
};

/// What entries of factors and biases are penalised by: ridge / 2 times their squares.
struct Ridge {
  double factors = 0;
  double biases = 0;
};

enum class LineSolver { cholesky, conjugate_gradients, sketch, nonnegative };

/// How lines are solved.
struct LineMethod {
  LineSolver solver = LineSolver::cholesky;
  Index steps = 3;  ///< of conjugate gradients
  double tol = 0;   ///< sketch: of the residual, at which conjugate gradients end
  std::uint64_t seed = 0;
};

/// The half-sweeps of a fit, with the memory that they share.
class HalfSweeps {
 public:
  HalfSweeps(const Observations& observed, bool is_implicit, const RunOptions& run);

  /// Every line of `own` becomes the solution of its least squares problem, or comes nearer to it. Returns
  /// sum w r^2 afterwards, or NaN unless `wants_squares`.
  double update(const Side& side, const PaddedFactor& other, PaddedFactor& own, const Ridge& ridge,
                const LineMethod& method, bool wants_squares);

  /// The same for the solver `cholesky`; also inverses <- the inverse normal matrices with their ridge and `damping`
  /// times their mean diagonal entries, which added[i] says for each line. Matrices lie as apply_each() has them.
  double update_with_inverses(const Side& side, const PaddedFactor& other, PaddedFactor& own, const Ridge& ridge,
                              double* inverses);
  void inverses(const Side& side, const PaddedFactor& other, const Ridge& ridge, double damping, double* inverses,
                double* added);

  /// sum w r^2, gradient <- that of half of it in `own` and errors <- w r of every entry, unless they are null.
  double residuals(const Side& side, const PaddedFactor& other, const PaddedFactor& own, double* gradient,
                   double* errors = nullptr);

  /// Half of sum w r^2, the penalties and, of implicit feedback, the sum over all places of (u_i^T v_j)^2.
  double objective(double square_sum, const PaddedFactor& U, const PaddedFactor& V, const Ridge& ridge) const;

  /// body(block, first line, lines, worker) for the blocks of a side, some `operations` for each entry.
  void for_blocks(const Side& side, double operations,
                  const std::function<void(Index block, Index first, Index count, int worker)>& body);

  [[nodiscard]] const Observations& observed() const { return observed_; }
  [[nodiscard]] bool is_implicit() const { return is_implicit_; }
  /// Memory of a worker for the kernels that take a panel.
  double* panel(int worker, Index stride) { return scratch(worker, panel_size(stride)); }
  /// From here on, the call is between these fractions of what it has to do.
  void enter_stage(double begin, double end) { monitor_.enter_stage(begin, end); }

 private:
  struct Scratch {
    Array<double> numbers;
    Array<Index> status;
  };

  double* scratch(int worker, Index size);
  void solve_exactly(const Side& side, const PaddedFactor& other, PaddedFactor* own, const Ridge& ridge,
                     bool wants_squares, double damping, double* inverses, double* added, bool is_nonnegative);
  [[nodiscard]] double sum_of_squares(const Side& side) const;

  const Observations& observed_;
  bool is_implicit_;
  int n_threads_;
  Monitor monitor_;
  std::vector<Scratch> scratch_;
  Array<double> squares_;  // of every line
  Array<double> common_;   // V^T V, for implicit observations
};

/// The entries of a block of lines.
[[nodiscard]] Lines lines_of(const Side& side, Index first, Index count);
[[nodiscard]] Factor factor_of(const PaddedFactor& factor);

/// sum of ridge_q u_iq^2.
[[nodiscard]] double penalty(const PaddedFactor& factor, const Ridge& ridge);

}  // namespace nearlinear::completion

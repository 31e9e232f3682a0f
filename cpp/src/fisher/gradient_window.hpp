/// What a sliding window keeps its gradients in: whole, or the largest entries of each.
#pragma once

#include <memory>
#include <vector>

#include "fisher/gradients.hpp"
#include "nearlinear/fisher/sliding_fisher_inverse.hpp"

namespace nearlinear::fisher {

/// Gradients that are about to come into a window, as it will keep them.
template <class T>
struct Admission {
  MatrixView<const T> rows{nullptr, 0, 0};
  Array<T> memory;              // of rows, unless they are kept as they came
  std::vector<double> largest;  // absolute value of an entry, of each
  std::vector<double> squares;  // |g|^2 of each, where they are known
  Array<T> residual;            // what will be left out of all so far, if entries are
};

/// Slots of gradients. A gradient is admitted, which changes nothing and may throw; then it is stored, which may not.
template <class T>
class GradientWindow {
 public:
  GradientWindow() = default;
  GradientWindow(const GradientWindow&) = delete;
  GradientWindow& operator=(const GradientWindow&) = delete;
  virtual ~GradientWindow() = default;

  [[nodiscard]] virtual Index rows() const = 0;
  [[nodiscard]] virtual Index cols() const = 0;
  [[nodiscard]] virtual std::size_t nbytes() const = 0;

  /// The last `count` rows of `given`; all of them are checked, and count for the residual.
  [[nodiscard]] virtual Admission<T> admit(MatrixView<const T> given, Index count, Pass pass) const = 0;
  virtual void store(Index slot, const Admission<T>& admission, Index row, Pass pass) = 0;
  virtual void settle(Admission<T>&& /*admission*/) noexcept {}

  virtual void get_row(Index slot, std::span<T> out) const = 0;

  /// U <- G X^T and Y <- alpha X + C^T G, as Gradients has them.
  virtual void multiply_many(MatrixView<const T> X, double* U, Pass pass) const = 0;
  virtual void combine_many(const double* C, double alpha, MatrixView<const T> X, MatrixView<T> Y, Pass pass) const = 0;

  [[nodiscard]] virtual Index row_bytes() const = 0;
  virtual void save_row(Index slot, std::byte* out, double& scale) const = 0;
  virtual void load_row(Index slot, const std::byte* in, double scale) = 0;
  [[nodiscard]] virtual std::span<T> residual() { return {}; }
};

template <class T>
[[nodiscard]] std::unique_ptr<GradientWindow<T>> make_dense_window(GradientStorage storage, Index window,
                                                                   Index n_params);

/// Keeps the share `kept` of the entries of every 2^16, the largest, of a gradient plus what was left out of the ones
/// before (error feedback).
template <class T>
[[nodiscard]] std::unique_ptr<GradientWindow<T>> make_sparse_window(GradientStorage storage, Index window,
                                                                    Index n_params, double kept);

}  // namespace nearlinear::fisher

/// The inverse of a Fisher matrix of the last gradients.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nearlinear/core/array.hpp"
#include "nearlinear/fisher/gradient_storage.hpp"

namespace nearlinear {

/// What the sum of g g^T is divided by.
enum class FisherNormalization {
  count,     ///< the number of gradients held
  capacity,  ///< the size of the window, as in the authors' optimiser: as if it began full of zeros
};

struct SlidingFisherOptions {
  double damping = 1e-5;  ///< lambda > 0, absolute
  FisherNormalization normalization = FisherNormalization::count;
  GradientStorage storage = GradientStorage::float32;
  /// The share of a gradient's entries that is kept, in (0, 1]: below 1, the largest of every 2^16 and at least one, of
  /// the gradient plus what was left out of all before it (error feedback, I.-V. Modoranu et al., "Error feedback can
  /// accurately compress preconditioners", ICML 2024).
  double kept = 1;
};

/// All that a SlidingFisherInverse is made of; numbers of gradients are ordered from the oldest to the newest.
struct SlidingFisherState {
  Index n_stored = 0;
  double damping = 0;
  Array<Index> slots;          ///< where they lie in the window: sums over gradients are taken in this order
  Array<std::byte> gradients;  ///< n_stored rows, as they are stored
  Array<double> scales;        ///< of float16, otherwise 1
  Array<double> gram;          ///< n_stored^2
  Array<double> factor;        ///< n_stored^2, or empty when it is not up to date
  Array<double> residual;      ///< what was left out of the gradients, when kept < 1
};

/// Products with the inverse of
///
///     F = lambda I + (1/s) G^T G,    G the newest `window` gradients, a row each,
///
/// while gradients come and go. The Gram matrix and the Cholesky factor of S = s lambda I + G G^T are kept in double
/// and in the order of age, so that to slide is a positive rank-one update: O(m^2) operations and one pass over G
/// instead of O(m^3), and stable however long it goes on (cholesky_slide() has the formula).
///
/// With F^{-1} G^T = s G^T S^{-1}, products of gradients in the window take no difference of large numbers:
/// precondition() has the accuracy of the storage for every lambda.
///
/// - Gradients are rounded to the storage, and all that is computed is exact for these rounded ones. In 16 bits,
/// apply()
///   of a vector that is close to a gradient is not what it would be for the unrounded one: use precondition() or
///   combination(), or float32.
/// - With FisherNormalization::count, S changes altogether while the window fills, and is factored anew when it is
///   needed: O(m^3).
/// - Memory: the window and two matrices of m^2 doubles.
/// - The same bits for every number of threads on one instruction set.
/// - E. Frantar, E. Kurtic and D. Alistarh, NeurIPS 2021, whose dynamic algorithm is DynamicRecurrence.
/// - Throws std::invalid_argument when an option, a shape or an age is wrong or a gradient has an entry that is NaN or
///   infinite, std::overflow_error when the storage cannot hold it, std::bad_alloc, and `interrupted` when
///   run.keep_going answers false; the window is then what it was.
///
///     nearlinear::SlidingFisherInverse<double> inverse(2, 10, {.damping = 1, .storage =
///     nearlinear::GradientStorage::float64}); const std::vector<double> g{3, 4}; std::vector<double> y(2);
///     inverse.precondition(g, y);   // F = I + g g^T: y = g / 26
template <class T>  // float, double: of the vectors
class SlidingFisherInverse {
 public:
  SlidingFisherInverse(Index n_params, Index window, const SlidingFisherOptions& options = {});
  SlidingFisherInverse(SlidingFisherInverse&&) noexcept;
  SlidingFisherInverse& operator=(SlidingFisherInverse&&) noexcept;
  ~SlidingFisherInverse();

  [[nodiscard]] Index n_params() const;
  [[nodiscard]] Index window() const;
  [[nodiscard]] Index n_stored() const;
  [[nodiscard]] double damping() const;
  [[nodiscard]] std::size_t nbytes() const;

  /// Takes gradients in, a row each; where the window is full, the oldest ones go. One pass over the window.
  void update(MatrixView<const T> gradients, const RunOptions& run = {});

  /// Takes g in and computes y <- F^{-1} g, g as it is stored: two passes over the window.
  void precondition(std::span<const T> g, std::span<T> y, const RunOptions& run = {});

  /// Y <- F^{-1} X, a row for every vector. Y may be X.
  void apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run = {});

  /// y <- F^{-1} G^T a, a number for every gradient from the oldest on: one pass over the window.
  void combination(std::span<const double> a, std::span<T> y, const RunOptions& run = {});

  /// Takes a gradient out; 0 is the oldest.
  void remove(Index age);

  void set_damping(double damping);

  /// A gradient as it is stored.
  void gradient(Index age, std::span<T> out) const;

  /// log det F.
  [[nodiscard]] double log_determinant(const RunOptions& run = {});

  /// G G^T, n_stored() x n_stored(), in the order of age.
  void gram(MatrixView<double> out) const;

  /// From it, load() makes an object of the same size and options that goes on with the same bits.
  [[nodiscard]] SlidingFisherState save() const;
  void load(const SlidingFisherState& state);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nearlinear

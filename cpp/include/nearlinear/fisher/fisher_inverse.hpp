/// The inverse of a Fisher matrix of given gradients.
#pragma once

#include <memory>
#include <vector>

#include "nearlinear/fisher/gradient_storage.hpp"

namespace nearlinear {

struct FisherOptions {
  /// lambda > 0, absolute: one, or one per block.
  std::vector<double> damping{1e-5};
  /// Parameters per block; 0: one block of all of them. The last block may be smaller.
  Index block_size = 0;
  /// s, what the sum of g g^T is divided by; 0: the number of gradients.
  double normalization = 0;
  /// Round the gradients to this storage, in memory of its own; otherwise they are read where they are.
  bool copy = false;
  GradientStorage storage = GradientStorage::float32;
};

/// What pruning the weights Q does to the others, by optimal brain surgeon.
struct JointUpdate {
  double loss_increase;  ///< 1/2 dw^T F dw
};

/// Products with the inverse of
///
///     F = lambda I + (1/s) G^T G,    G of m x d, a gradient per row,
///
/// or with the inverse of the diagonal blocks of F. By Woodbury's identity, with S = s lambda I + G G^T = L L^T,
///
///     F^{-1} = (1/lambda) (I - G^T S^{-1} G),
///
/// so that a product takes two passes over G; blocks of fewer than m parameters are factored themselves instead,
/// F^{-1} = s (s lambda I + G^T G)^{-1}. G G^T and L are in double whatever the gradients are. Products of float
/// gradients are summed in float over 1024 parameters at most and then in double, and in double altogether where the
/// pivots of S show that this is not enough.
///
/// - Cost: m^2 d operations for one block, min(m, B) m d for blocks of B parameters; 4 m d per product. Memory: two
///   matrices of min(m, B)^2 doubles per block.
/// - Error of a product: |y - F^{-1} x| <= c (u + u_64 |G|^2 / (s lambda)) |x| / lambda, u the unit round-off of T.
/// - The same bits for every number of threads on one instruction set.
/// - E. Frantar, E. Kurtic and D. Alistarh, "M-FAC: Efficient matrix-free approximations of second-order information",
///   NeurIPS 2021, whose static recurrence (recurrences.hpp) computes the rows of L^{-1} G one by one.
/// - The constructor throws std::invalid_argument when an option is out of range, G has no rows or no columns or an
///   entry that is NaN or infinite, std::overflow_error when the square of a gradient's norm is not a double,
///   std::bad_alloc, and `interrupted`. Methods throw std::invalid_argument when shapes do not match,
///   std::out_of_range when a parameter's number is, std::bad_alloc, and `interrupted`; the object stays as it was.
///
///     const std::vector<double> g{3, 4}, x{3, 4};
///     const nearlinear::FisherInverse<double> inverse({g.data(), 1, 2}, {.damping = {1.0}});   // F = I + g g^T
///     std::vector<double> y(2);
///     inverse.apply({x.data(), 1, 2}, {y.data(), 1, 2});                                       // y = x / 26
template <class T>  // float, double
class FisherInverse {
 public:
  /// `gradients` is kept as a view unless options.copy is set.
  explicit FisherInverse(MatrixView<const T> gradients, const FisherOptions& options = {}, const RunOptions& run = {});
  FisherInverse(FisherInverse&&) noexcept;
  FisherInverse& operator=(FisherInverse&&) noexcept;
  ~FisherInverse();

  [[nodiscard]] Index n_params() const;
  [[nodiscard]] Index n_gradients() const;
  [[nodiscard]] Index block_size() const;
  [[nodiscard]] Index n_blocks() const;
  [[nodiscard]] std::size_t nbytes() const;  ///< of what it owns

  /// Y <- F^{-1} X, a row for every vector, all of them in two passes. Y may be X.
  void apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run = {}) const;

  /// Y <- F X.
  void apply_fisher(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run = {}) const;

  /// Y <- F^{-1/2} X, the symmetric root: of X standard normal, samples of N(0, F^{-1}). The eigenvectors of G G^T are
  /// computed anew in every call, at some 9 min(m, B)^3 operations per block.
  void apply_square_root(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run = {}) const;

  /// The diagonal of F^{-1}: m^2 d operations. Of float gradients in float where the estimated error is below 2^-22 of
  /// an entry, otherwise in double.
  void diagonal(std::span<double> out, const RunOptions& run = {}) const;

  /// out_k <- (F^{-1})_{i_k j_k}: m^2 operations for every parameter that occurs.
  void elements(std::span<const Index> i, std::span<const Index> j, std::span<double> out,
                const RunOptions& run = {}) const;

  /// out <- the elements of F^{-1} in these rows and columns: m^2 operations for each of them, and m for an element.
  void submatrix(std::span<const Index> rows, std::span<const Index> cols, MatrixView<double> out,
                 const RunOptions& run = {}) const;

  /// (F^{-1})_QQ for every row Q of `groups`, one after the other: size^2 numbers each.
  void group_inverses(MatrixView<const Index> groups, std::span<double> out, const RunOptions& run = {}) const;

  /// log det F.
  [[nodiscard]] double log_determinant() const;

  /// Another lambda: min(m, B)^3 / 3 operations per block, and no look at the gradients.
  void set_damping(std::vector<double> damping, const RunOptions& run = {});

  /// The step that optimal brain surgeon takes when the weights Q where prune[q] != 0 go,
  ///
  ///     min 1/2 dw^T F dw,    dw_Q = -w_Q,
  ///
  /// by its closed form in the kept weights R, for any number of pruned ones:
  ///
  ///     dw_R = G_R^T S_R^{-1} G_Q w_Q,    S_R = s lambda I + G_R G_R^T.
  ///
  /// or, where fewer weights are kept than there are gradients, (s lambda I + G_R^T G_R) dw_R = G_R^T G_Q w_Q.
  /// G_R G_R^T is computed from the kept columns: G G^T - G_Q G_Q^T cancels where heavy weights go. At most m^2 |R|
  /// operations.
  [[nodiscard]] JointUpdate joint_step(std::span<const T> w, std::span<const std::uint8_t> prune, std::span<T> step,
                                       const RunOptions& run = {}) const;

  /// G G^T of the first block, m x m, or G^T G where it has fewer than m parameters.
  [[nodiscard]] MatrixView<const double> gram() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nearlinear

/// The diagonal blocks of a Fisher matrix: what FisherInverse does, for one block at a time.
#pragma once

#include <functional>
#include <vector>

#include "fisher/gradients.hpp"
#include "nearlinear/fisher/fisher_inverse.hpp"

namespace nearlinear::fisher {

/// A block on one of two sides, whichever is smaller: that of the gradients, K = G G^T, or that of the parameters,
/// K = G^T G. S = s lambda I + K = L L^T on both.
struct Block {
  Index begin;
  Index end;
  bool by_gradients;
  double damping;
  double normalization;
  MatrixView<double> K;
  MatrixView<double> L;

  [[nodiscard]] Index size() const { return end - begin; }
  [[nodiscard]] double shift() const { return normalization * damping; }
};

/// All blocks, and their gradients.
class FisherBlocks {
 public:
  FisherBlocks(Gradients gradients, const FisherOptions& options);

  [[nodiscard]] Index count() const { return count_; }
  [[nodiscard]] Index block_size() const { return block_size_; }
  [[nodiscard]] const Gradients& gradients() const { return gradients_; }
  [[nodiscard]] Block operator[](Index b) const;
  [[nodiscard]] Gradients gradients_of(const Block& block) const;
  [[nodiscard]] std::size_t nbytes() const;

  /// Gram matrices and factors of all blocks.
  void set_up(const RunOptions& run);

  /// Factors for other values of lambda. Throws before anything has changed.
  void set_damping(std::vector<double> damping, const RunOptions& run);

  /// Calls body(block, pass) for every block: many small ones next to each other, a large one on all threads.
  /// A parameter takes `operations` of a pass.
  void for_each(const RunOptions& run, double operations, const std::function<void(const Block&, Pass)>& body) const;

  /// Whether float was not enough for the Gram matrices.
  [[nodiscard]] bool precise() const { return precise_; }

 private:
  [[nodiscard]] Index largest_side() const { return std::min(gradients_.rows(), block_size_); }
  void set_up(const Block& block, bool precise, Pass pass) const;
  void require_finite(const Block& block) const;

  Gradients gradients_;
  Index block_size_;
  Index count_;
  std::vector<double> damping_;
  double normalization_;
  Array<double> grams_;    // largest_side()^2 for every block
  Array<double> factors_;  // the same
  bool precise_ = false;
};

/// Throws std::invalid_argument unless there are `blocks` numbers or one, all positive and finite.
void require_valid_damping(const std::vector<double>& damping, Index blocks, const char* function);

/// W_c <- L^{-1} g_c or, on the side of the parameters, L^{-1} e_c, a row for every column c of the block, counted from
/// its begin. Then (F^{-1})_cd = (delta_cd - W_c W_d) / lambda or s W_c W_d.
void whiten(const FisherBlocks& blocks, const Block& block, std::span<const Index> columns, MatrixView<double> W);
[[nodiscard]] double element(const Block& block, bool same, std::span<const double> w_c, std::span<const double> w_d);

/// FisherInverse::joint_step, of the block's parts of w, prune and step. Returns the increase of the loss.
template <class T>
double joint_step(const FisherBlocks& blocks, const Block& block, std::span<const T> w,
                  std::span<const std::uint8_t> prune, std::span<T> step, Pass pass);

}  // namespace nearlinear::fisher

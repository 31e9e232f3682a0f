/// Products of sparse matrices whose patterns stay while their values change.
#pragma once

#include <memory>

#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

struct MatmulPlanOptions {
  /// Remember for every scalar product where it goes, two bytes each, in those parts of C where that takes at most
  /// 12 bytes per entry. false: less memory, and more time. No entry depends on it.
  bool store_positions = true;
};

/// Product of two sparse matrices, prepared for many values.
///
///     C = A B,    C_ij = sum over k of A_ik B_kj,    for any values of A and B where entries are stored
///
/// - `A` is n x k, `B` is k x m, as for matmul(): rows need not be sorted, and a column stored twice means the sum. The
///   plan takes its own copy of both patterns, so that what happens to A and B later does not matter to it. Their
///   values have no part in it.
/// - execute() takes values in the order in which A and B were stored. Its results are those of matmul(), with its
///   bits for every thread count and instruction set, but for the sign of zeros; C has the same error bound.
/// - Cost: a plan takes the time of two to four products. execute() takes f = sum over A_ik of nnz(B_k) operations and
///   neither looks for the pattern nor sorts. Memory of a plan: the patterns of A, B and C, and at most 12 bytes per
///   entry of C that tell where products go; of execute(), a sum per thread and column of B, and never more columns
///   than nnz(B) + 2^16 count.
/// - A plan is not changed by execute(): several threads may call it at once.
/// - The constructor throws what matmul() throws, execute() std::invalid_argument when a length does not match,
///   std::bad_alloc and `interrupted`, after which C is unspecified.
///
/// Reusing the symbolic phase: F. G. Gustavson, "Two fast algorithms for sparse matrices: multiplication and permuted
/// transposition", ACM Transactions on Mathematical Software 4 (1978).
///
///     const nearlinear::MatmulPlan<double, int> plan(A, B);                            // A and B as for matmul()
///     std::vector<double> c_data(plan.nnz());
///     plan.execute(A.data, B.data, c_data);                                            // 8 3 20
///     const double other[] = {1, 0, 0};
///     plan.execute(other, B.data, c_data);                                             // 0 3 0
template <class T, class I>
class MatmulPlan {
 public:
  MatmulPlan(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulPlanOptions& options = {},
             const RunOptions& run = {});
  MatmulPlan(MatmulPlan&&) noexcept;
  MatmulPlan& operator=(MatmulPlan&&) noexcept;
  ~MatmulPlan();

  [[nodiscard]] Index rows() const;
  [[nodiscard]] Index cols() const;
  [[nodiscard]] Index nnz() const;       ///< Entries of C.
  [[nodiscard]] Index products() const;  ///< Scalar products of one execution, f.
  [[nodiscard]] Index A_nnz() const;     ///< Values of A that execute() takes, and of B.
  [[nodiscard]] Index B_nnz() const;

  /// The pattern of C, canonical.
  [[nodiscard]] std::span<const I> indptr() const;
  [[nodiscard]] std::span<const I> indices() const;

  /// C_data <- values of A B, in the order of indices(). C_data overlaps neither A_data nor B_data.
  void execute(std::span<const T> A_data, std::span<const T> B_data, std::span<T> C_data,
               const RunOptions& run = {}) const;

  /// The same as a matrix, with a copy of the pattern.
  [[nodiscard]] CsrMatrix<T, I> execute(std::span<const T> A_data, std::span<const T> B_data,
                                        const RunOptions& run = {}) const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace nearlinear

/// Products of two sparse matrices over any semiring, where a mask allows them, and added to a third matrix.
#pragma once

#include <optional>
#include <string>

#include "nearlinear/sparse/detail/semiring_product.hpp"
#include "nearlinear/sparse/matmul.hpp"
#include "nearlinear/sparse/semirings.hpp"

namespace nearlinear {

/// Places of the result are restricted to those of a mask.
template <class I>
struct MatmulMask {
  CsrView<bool, I> places;  ///< Without `values`, its data are not looked at and may be empty.
  bool complement = false;  ///< Instead, places of the mask are left out.
  bool values = false;      ///< The mask has only those places that hold true (places stored twice: if one does).
};

/// Options of a product over a semiring, beside those of every product.
template <class T, class I>
struct SemiringOptions {
  std::optional<MatmulMask<I>> mask = {};   ///< of n x m
  std::optional<CsrView<T, I>> accum = {};  ///< C_0, of n x m
  MatmulOptions matmul = {};
};

/// Product of two sparse matrices over a semiring (+, *), where the mask allows it.
///
///     C = M o (C_0 + A B),    C_ij = C_0_ij + sum over k of A_ik * B_kj
///
/// - `A` is n x k, `B` is k x m, of the semiring's values. C has strictly increasing columns in every row and an entry
///   at every place that the mask M allows and where C_0 has one or some A_ik and B_kj are both stored.
/// - Terms are added in the order of row i of A, C_0_ij first: C is equal to the last bit for every thread count and
///   accumulator. Places that B or C_0 stores twice are first combined by the semiring's addition; so are those of A,
///   unless the semiring is distributive, which makes it the same.
/// - Cost: with f scalar products, O(nnz(A) + nnz(B) + nnz(C_0) + nnz(M) + f) and the sorting of rows. Rows whose mask
///   is empty cost nothing, and no more than nnz(M) entries take memory.
/// - Throws as matmul does, and std::invalid_argument when the mask or C_0 is no valid n x m matrix or an option does
///   not suit the values: top_k needs `<`, threshold std::abs, prune_zeros `==`.
///
/// A. Buluc and J. R. Gilbert, "The Combinatorial BLAS: design, implementation, and applications", International
/// Journal of High Performance Computing Applications 25 (2011); masks: S. Milakovic, O. Selvitopi, I. Nisa, Z.
/// Budimlic and A. Buluc, "Parallel algorithms for masked sparse matrix-matrix products", ICPP (2022).
///
///     #include <nearlinear/sparse.hpp>
///     #include <cstdio>
///
///     int main() {   // edges 0 -> 1 of length 1, 1 -> 2 of length 2, 0 -> 2 of length 5, and 0 on the diagonal
///       const int indptr[] = {0, 3, 5, 6}, indices[] = {0, 1, 2, 1, 2, 2};
///       const double data[] = {0, 1, 5, 0, 2, 0};
///       const nearlinear::CsrView<double, int> lengths{3, 3, indptr, indices, data};
///       const auto paths = nearlinear::matmul(nearlinear::MinPlus<double>{}, lengths, lengths);
///       for (const double length : paths.data) std::printf("%g ", length);   // 0 1 3 0 2 0
///
///       const nearlinear::MatmulMask<int> edges{.places = {3, 3, indptr, indices, {}}};
///       const auto sums = nearlinear::matmul(nearlinear::PlusTimes<double>{}, lengths, lengths, {.mask = edges});
///     }
template <Semiring S, class I>
CsrMatrix<typename S::Value, I> matmul(const S& semiring, const CsrView<typename S::Value, I>& A,
                                       const CsrView<typename S::Value, I>& B,
                                       const SemiringOptions<typename S::Value, I>& options = {},
                                       const RunOptions& run = {});

/// The same, but a product of 32-bit indices and more than 2^31 - 1 entries comes with 64-bit indices.
template <Semiring S, class I>
CsrMatrixOfAnySize<typename S::Value> matmul_any_size(const S& semiring, const CsrView<typename S::Value, I>& A,
                                                      const CsrView<typename S::Value, I>& B,
                                                      const SemiringOptions<typename S::Value, I>& options = {},
                                                      const RunOptions& run = {});

namespace detail {

void require_valid_options(const char* function, const MatmulOptions& options);

template <class S>
bool is_distributive(const S& semiring) {
  if constexpr (requires { semiring.distributive; })
    return semiring.distributive;
  else
    return false;
}

/// The checks of a product, and copies of those operands that need repair.
template <Semiring S, class I>
RawCsrMatrix<I> checked_semiring_product(const S& semiring, const CsrView<typename S::Value, I>& A,
                                         const CsrView<typename S::Value, I>& B,
                                         const SemiringOptions<typename S::Value, I>& options, const RunOptions& run) {
  using T = typename S::Value;
  static_assert(
      sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16 || sizeof(T) == 32,
      "a semiring's values have 1, 2, 4, 8, 16 or 32 bytes");
  const MatmulOptions& matmul = options.matmul;
  require_valid_options("matmul", matmul);
  require(matmul.top_k == 0 || Ordered<T>, "matmul: top_k needs values that have an order");
  require(matmul.threshold == 0 || HasMagnitude<T>, "matmul: threshold needs values that have a magnitude");
  require(!matmul.prune_zeros || std::equality_comparable<T>, "matmul: prune_zeros needs values that can be compared");

  const auto is_canonical = [&](const auto& matrix, const char* name) {
    return matmul.assume_valid || require_valid_csr(matrix, "matmul", name, run);
  };
  const bool a_is_canonical = is_canonical(A, "A");
  const bool b_is_canonical = is_canonical(B, "B");
  require(A.cols == B.rows, "matmul: A is ", Shape{A.rows, A.cols}, " but B is ", Shape{B.rows, B.cols},
          "; A must have as many columns as B has rows");
  const auto require_shape_of_result = [&](Index rows, Index cols, const char* name) {
    require(rows == A.rows && cols == B.cols, "matmul: ", name, " is ", Shape{rows, cols}, " but the product is ",
            Shape{A.rows, B.cols});
  };

  SemiringOperands<T, I> operands{.rows = A.rows, .cols = B.cols, .A = &A, .B = &B};
  CsrMatrix<T, I> a_combined, b_combined, accum_combined;
  CsrView<T, I> a_view, b_view, accum_view;
  const auto combine = [&](const CsrView<T, I>& matrix, CsrMatrix<T, I>& combined, CsrView<T, I>& view) {
    combined = combine_duplicates(semiring, matrix, false, run);
    view = combined.view();
    return &view;
  };
  if (!a_is_canonical && !is_distributive(semiring)) operands.A = combine(A, a_combined, a_view);
  if (!b_is_canonical) operands.B = combine(B, b_combined, b_view);
  if (options.accum) {
    const bool accum_is_canonical = is_canonical(*options.accum, "accum");
    require_shape_of_result(options.accum->rows, options.accum->cols, "accum");
    operands.accum = accum_is_canonical ? &*options.accum : combine(*options.accum, accum_combined, accum_view);
  }

  CsrView<bool, I> mask;
  CsrMatrix<bool, I> mask_combined;
  if (options.mask) {
    mask = options.mask->places;
    CsrPlaces<I> places(mask);
    if (!options.mask->values) places.data_size = mask.indices.size();
    const bool mask_is_canonical = matmul.assume_valid || require_valid_places(places, "matmul", "mask", run);
    require_shape_of_result(mask.rows, mask.cols, "mask");
    if (options.mask->values || !mask_is_canonical) {
      Array<bool> all;
      if (!options.mask->values) {
        all = Array<bool>(std::ssize(mask.indices));
        std::fill(all.begin(), all.end(), true);
        mask.data = all.span();
      }
      mask_combined = combine_duplicates(OrAnd{}, mask, options.mask->values, run);
      mask = mask_combined.view();
    }
    operands.mask = &mask;
    operands.mask_complement = options.mask->complement;
  }
  return compute_product(semiring, operands, matmul, run);
}

}  // namespace detail

template <Semiring S, class I>
CsrMatrix<typename S::Value, I> matmul(const S& semiring, const CsrView<typename S::Value, I>& A,
                                       const CsrView<typename S::Value, I>& B,
                                       const SemiringOptions<typename S::Value, I>& options, const RunOptions& run) {
  auto product = detail::checked_semiring_product(semiring, A, B, options, run);
  detail::require_can_count<I>(product.indices.size());
  return detail::typed<typename S::Value, I>(A.rows, B.cols, std::move(product));
}

template <Semiring S, class I>
CsrMatrixOfAnySize<typename S::Value> matmul_any_size(const S& semiring, const CsrView<typename S::Value, I>& A,
                                                      const CsrView<typename S::Value, I>& B,
                                                      const SemiringOptions<typename S::Value, I>& options,
                                                      const RunOptions& run) {
  using T = typename S::Value;
  auto product = detail::checked_semiring_product(semiring, A, B, options, run);
  if (detail::can_count<I>(product.indices.size())) return detail::typed<T, I>(A.rows, B.cols, std::move(product));
  return detail::typed<T, std::int64_t>(A.rows, B.cols, std::move(product));
}

}  // namespace nearlinear

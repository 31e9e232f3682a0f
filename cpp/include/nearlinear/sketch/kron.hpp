/// Least squares with a Kronecker product, and sketches of one, neither of which forms it.
///
///     A = A_1 (x) A_2 (x) ... (x) A_q,    A_t of n_t x d_t,    n = n_1 ... n_q,    D = d_1 ... d_q
///
/// Row (i_1, ..., i_q) of A is the Kronecker product of the rows i_t of A_t, and vectors are tensors stored by rows,
/// with the last index fastest: A x is what multiplying the tensor x by A_t along its mode t, for every t, gives.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "nearlinear/core.hpp"

namespace nearlinear {

/// TensorSRHT of a Kronecker product: S A for a random S of m rows with E[S^T S] = I.
///
///     q = 2:    S = m^{-1/2} P (H D_1 (x) H D_2),
///               row k of S A = m^{-1/2} (H D_1 A_1)[i_k, :] (x) (H D_2 A_2)[j_k, :]
///
/// - SA is m x D and overlaps no factor; m >= 1. H are Walsh-Hadamard matrices, before which A_t is filled up with rows
///   of zeros to a power of two; D_t are diagonal with random signs, and P picks m independent pairs of rows.
/// - q = 1: m^{-1/2} P H D_1. q > 2: a binary tree of such sketches of two matrices each. Neighbours are paired, what
///   is left over at the end of a level goes on to the next, and all sketches have m rows; a pair whose product has m
///   rows or fewer is replaced by it, but for the last pair. The error grows by a factor polynomial in q, where one
///   pick from all q transforms at once would let it grow exponentially.
/// - Cost: sum n_t d_t log2(n_t) + m D operations for q = 2; each further node of the tree transforms two matrices
///   of at most m rows. Memory: two transformed matrices and those of a level, beside SA.
/// - Random numbers are RandomStream(seed, s) for the node v of the tree, numbered level by level and from left to
///   right: s = 16 + 3 v holds the signs of its left matrix (of row i: bit i % 32 of 32-bit word i / 32, four words a
///   counter, 1 for -1), s = 17 + 3 v those of its right one, and s = 18 + 3 v the picks: the first two words of
///   counter k, low word first, are i_k, the other two j_k, of which the lowest bits count, as many as the transform
///   needs.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when there are no factors, one has no rows or columns, shapes do not match or m is
///   above 2^30, std::overflow_error when D does not fit an Index, std::bad_alloc, and `interrupted` when
///   run.keep_going answers false; SA is then unspecified. NaN and infinities spread.
///
/// Source: Ahle, Kapralov, Knudsen, Pagh, Velingker, Woodruff and Zandieh, Oblivious sketching of high-degree
/// polynomial kernels, SODA 2020.
///
///     const std::vector<double> a{1, 2, 3, 4}, c{5, 6};
///     const nearlinear::MatrixView<const double> factors[] = {{a.data(), 2, 2}, {c.data(), 2, 1}};
///     std::vector<double> sa(64 * 2);
///     nearlinear::tensor_srht<double>(factors, 7, {sa.data(), 64, 2});   // |S A x| is close to |A x|
template <class T>  // float, double
void tensor_srht(std::span<const MatrixView<const T>> factors, std::uint64_t seed, MatrixView<T> SA,
                 const RunOptions& run = {});

/// The same S times the Khatri-Rao product of factors with d columns each, whose column j is the Kronecker product of
/// their columns j: features of a polynomial kernel, say. SA is m x d, and row k of a node's sketch is the entrywise
/// product of two transformed rows. Throws std::invalid_argument when numbers of columns differ, too.
template <class T>
void tensor_srht_khatri_rao(std::span<const MatrixView<const T>> factors, std::uint64_t seed, MatrixView<T> SA,
                            const RunOptions& run = {});

/// The same S times a vector: Sb <- S b, for what the sketch of the right-hand side is to be.
///
/// - `sizes` are n_1, ..., n_q, b has their product of entries, and Sb has m.
/// - Cost: n log2(n) operations for q = 2, and less for every further pair of modes, which is replaced by one of m
///   entries where that is shorter. Memory: a copy of b with n_1 rounded up to a power of two, for q > 2 one more.
template <class T>
void tensor_srht_vector(std::span<const Index> sizes, std::span<const T> b, std::uint64_t seed, std::span<T> Sb,
                        const RunOptions& run = {});

enum class KronMethod {
  exact,        ///< pseudo-inverses of the factors along the modes of b
  tensor_srht,  ///< argmin |S (A x - b)| with TensorSRHT
  sampling,     ///< m weighted rows, drawn by leverage scores; reads no more than m entries of b
};

struct KronLstsqOptions {
  KronMethod method = KronMethod::exact;
  Index sketch_rows = 0;  ///< m >= D of tensor_srht and sampling; 0: kron_sketch_rows(D)
  std::uint64_t seed = 0;
};

template <class T>
struct KronLstsqResult {
  Array<T> x = {};            ///< D entries, last index fastest
  double residual_norm = 0;   ///< |A x - b|_2; for sampling |S (A x - b)|_2, which underestimates it
  Index rank = 0;             ///< of A, or of S A; below D, x is the solution of least norm
  Array<Index> indices = {};  ///< of sampling: the rows (i_1, ..., i_q), m x q, stored by rows
};

/// Writes b's entries at the m index tuples of an m x q matrix.
template <class T>
using KronEntries = std::function<void(MatrixView<const Index> indices, std::span<T> entries)>;

/// m when it is not given: max(16 D, 4 D log D), rounded up. Throws std::overflow_error above 2^30.
[[nodiscard]] Index kron_sketch_rows(Index D);

/// Least squares with a Kronecker product.
///
///     min |(A_1 (x) ... (x) A_q) x - b|_2, and where many x attain it, the one of least norm
///
/// - b has n entries, q >= 1, and every factor has at least one row and column.
/// - `exact`: A^+ = A_1^+ (x) ... (x) A_q^+. With A_t = Q_t R_t, b is multiplied by Q_t^T along mode t, and then by the
///   inverse of R_t or, where the condition number of R_t with columns of length 1 is 1 / (15 eps) or more, or n_t <
///   d_t, by its pseudo-inverse, of which singular values up to 15 eps s_1 are dropped. Modes are taken in the order
///   that costs least, that of falling 1 / d_t - 1 / n_t; for two factors that is n_1 n_2 min(d_1, d_2) products where
///   both are tall, beside 2 n_t d_t^2 for every factor. This is as accurate as QR of each factor, and as a rule faster
///   than `tensor_srht`: for small d_t it takes no more than a few passes over b.
/// - `tensor_srht`: one solution of an m x D problem, once b is transformed. Where rows of the factors are very
///   unequal, m > D log D is needed for S A to keep A's rank. |x_i - x*_i| behaves as for a Gaussian sketch
///   (sketch_rows()); for q > 2 it is a little larger with m = 4 D, and not from 16 D on. That is observed, and not
///   proved.
/// - `sampling`: the tuple (i_1, ..., i_q) is drawn m times, independently, with probability p = prod l_t(i_t) / d_t,
///   l_t the squared row lengths of Q_t, and its equation is weighted by (m p)^{-1/2}. A row's leverage in A is the
///   product of those in A_t, hence |A x - b| is below (1 + eps) times the least one from m = O(D log D + D / eps) on
///   (Drineas, Mahoney and Muthukrishnan 2006; Cheng, Peng, Liu and Perros 2016). No coefficient of x has a bound of
///   its own: entries of b that are missed can be what one of them depends on (no l_inf guarantee). i_t of draw k is
///   where the running sum of l_t exceeds RandomStream(seed, 8).uniform(k q + t) times its total.
/// - Cost: `exact` as above, and as much again for the residual; `tensor_srht` as tensor_srht_vector(), 2 m D^2 and the
///   residual; `sampling` 2 n_t d_t^2 for every factor and 2 m D^2. Memory: for `exact` Q_t and tensors on the way, all
///   shorter than b where factors are tall; for the others some 2 m D numbers.
/// - Entries may be as large or small as numbers go: factors and b are scaled by powers of two where it matters.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when sizes do not match, factors or b hold NaN or infinities, or, for `tensor_srht`
///   and `sampling`, n_t < d_t or m < D; std::overflow_error, std::bad_alloc, and `interrupted` when run.keep_going
///   answers false.
///
/// Sources: Fausett and Fulton, Large least squares problems involving Kronecker products, SIAM J. Matrix Anal. Appl.
/// 15 (1994); Diao, Jayaram, Song, Sun and Woodruff, Optimal sketching for Kronecker product regression and low rank
/// approximation, NeurIPS 2019.
///
///     const std::vector<double> a{2, 0, 0, 4}, c{1, 1}, b{2, 4, 8, 8};
///     const nearlinear::MatrixView<const double> factors[] = {{a.data(), 2, 2}, {c.data(), 2, 1}};
///     const auto result = nearlinear::kron_lstsq<double>(factors, b);   // x = 1.5 2, residual_norm = sqrt(2)
template <class T>  // float, double
[[nodiscard]] KronLstsqResult<T> kron_lstsq(std::span<const MatrixView<const T>> factors, std::span<const T> b,
                                            const KronLstsqOptions& options = {}, const RunOptions& run = {});

/// The same by `sampling`, for a b whose entries are expensive, or too many to be stored: `b` is called once, on the
/// calling thread, with all m index tuples, some of which may be equal.
template <class T>
[[nodiscard]] KronLstsqResult<T> kron_lstsq(std::span<const MatrixView<const T>> factors, const KronEntries<T>& b,
                                            const KronLstsqOptions& options, const RunOptions& run = {});

}  // namespace nearlinear

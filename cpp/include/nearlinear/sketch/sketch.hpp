/// Random matrices that shorten tall ones.
#pragma once

#include <cstdint>

#include "nearlinear/core.hpp"
#include "nearlinear/sparse/csr.hpp"

namespace nearlinear {

/// A family of random m x n matrices S with E[S^T S] = I.
///
/// | kind           | S                                                | cost of S A, dense         | l_inf    |
/// |----------------|--------------------------------------------------|----------------------------|----------|
/// | gaussian       | independent N(0, 1/m)                            | 2 m n d                    | proved   |
/// | srht           | m^{-1/2} P H D, P picks rows of H                | n d (10 + m / 1024)        | see below|
/// | dct            | (n / m)^{1/2} P C D, C orthonormal cosines       | n d log n                  | observed |
/// | sjlt           | 8 entries +-8^{-1/2} a column, one per stripe    | 16 n d, or 8 nnz           | no       |
/// | block_hadamard | C (I (x) b^{-1/2} H_b) D, C a CountSketch        | n d (log b + 1)            | observed |
/// | pooled         | sums of N / m rows of G Pi N^{-1/2} H_N D J      | N d log N, N >= max(n, m d)| proved   |
/// | countsketch    | one entry +-1 a column                           | n d, or nnz                | no       |
///
/// Of dct the guarantee is observed from m = 16 d on alone. D is diagonal with random signs, H_N the Walsh-Hadamard
/// matrix, G diagonal and Gaussian, Pi a permutation, J fills up with zeros. The l_inf guarantee bounds every
/// coefficient of argmin |S (A x - b)| (nearlinear/sketch/lstsq.hpp). For srht it is proved with m = O(eps^{-2} d^{1 +
/// o(1)}) rows (Price, Song and Woodruff 2017); the proof for d times a polylogarithm (Song, Ye, Yin and Zhang 2023) is
/// disputed by two of its authors (Song and Zhang 2026, who prove it for `pooled`). Sparse sketches fail:
/// docs/theory/sketch.md shows on what.
enum class SketchKind { gaussian, srht, dct, sjlt, block_hadamard, pooled, countsketch };

/// S is a function of these and, for dct and pooled, of n; its entries do not depend on which rows of A are at hand.
struct SketchSpec {
  SketchKind kind = SketchKind::block_hadamard;
  Index rows = 0;  ///< m
  std::uint64_t seed = 0;
  Index block = 1024;  ///< b of block_hadamard, a power of two
  Index length = 0;    ///< N of pooled, a power of two, at least n
};

/// A spec of m = `rows` rows for n x d matrices.
///
/// - block is the power of two from max(4 d, 8 sqrt(m)) on, within 1024 and 65536: with less, rows of A that lie close
///   together are not spread over enough of S A.
/// - length is that from max(n, 16 m, m d) on. The theorem for `pooled` asks for n + O(eps^{-2} d^3), which is d times
///   as much, up to logarithms; what was measured does not.
[[nodiscard]] SketchSpec sketch_for(Index n, Index d, SketchKind kind, Index rows, std::uint64_t seed = 0);

/// S A, for all kinds and at once.
///
/// - A is n x d, SA is m x d and does not overlap it. A may be sparse; then gaussian, srht, block_hadamard, dct and
///   pooled take as long as for a dense matrix.
/// - Memory: up to 256 MiB for sums of groups of rows; for dct and pooled, a stripe of columns as tall as A or N.
/// - Equal to the last bit for every number of threads on one instruction set.
/// - Throws std::invalid_argument when shapes do not match, std::bad_alloc, and `interrupted` when run.keep_going
///   answers false.
///
/// Sources: Ailon and Chazelle, The fast Johnson-Lindenstrauss transform, SIAM J. Comput. 39 (2009); Tropp, Improved
/// analysis of the subsampled randomized Hadamard transform, Adv. Adapt. Data Anal. 3 (2011); Nelson and Nguyen, OSNAP,
/// FOCS 2013; Charikar, Chen and Farach-Colton, Finding frequent items in data streams, ICALP 2002; Song and Zhang,
/// Hadamard flattening and Gaussian pooling sketch for least squares with coordinate-wise guarantee, 2026.
///
///     const std::vector<double> a(1 << 20, 1.0);
///     std::vector<double> sa(64);
///     nearlinear::apply_sketch<double>({.kind = nearlinear::SketchKind::srht, .rows = 64},
///                                {a.data(), 1 << 20, 1}, {sa.data(), 64, 1});
template <class T>  // float, double
void apply_sketch(const SketchSpec& spec, MatrixView<const T> A, MatrixView<T> SA, const RunOptions& run = {});
template <class T, class I>  // std::int32_t, std::int64_t
void apply_sketch(const SketchSpec& spec, const CsrView<T, I>& A, MatrixView<T> SA, const RunOptions& run = {});

/// S^T Y: Y is m x p, X is n x p and is overwritten. Costs as much as S X.
template <class T>
void apply_sketch_transposed(const SketchSpec& spec, MatrixView<const T> Y, MatrixView<T> X,
                             const RunOptions& run = {});

}  // namespace nearlinear

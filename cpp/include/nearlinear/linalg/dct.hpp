/// The discrete cosine transform.
#pragma once

#include "nearlinear/core.hpp"

namespace nearlinear {

struct DctOptions {
  bool orthonormal = false;  ///< Scale the transform to an orthogonal matrix.
  bool inverse = false;
  RunOptions run = {};
};

/// Discrete cosine transform of every column of a matrix, of type II, and its inverse, of type III.
///
///     Y <- C_n X,    (C_n)_kj = f_k cos(pi k (2 j + 1) / (2 n)),    0 <= j, k < n,
///
/// where f_k = 2; or, with options.orthonormal, f_0 = sqrt(1 / n) and f_k = sqrt(2 / n) for k > 0, so that C_n is
/// orthogonal. With options.inverse, Y <- C_n^{-1} X. These are the conventions of SciPy: scipy.fft.dct(X, type=2,
/// axis=0), idct for the inverse, norm="ortho" for orthonormal.
///
/// - `X`, `Y`: n x d, any n and d (0 too), any row strides. They are the same memory, with the same row stride, or do
///   not overlap.
/// - Cost: O(n d log n) operations for every n: n even takes half as many as n odd, and a prime factor above 31 of n,
/// or
///   of n / 2 for even n, some five times as many. One read of X and one write of Y.
/// - Memory: a buffer per thread of n rows of 64 to 256 bytes, less for few columns; twice that for odd n, and some
/// four
///   times as much with a prime factor above 31. Tables of about 5 numbers per row, made anew by every call: for one
///   column they take longer than the transform.
/// - Strips of columns are shared out to threads: a single column runs on one.
/// - Each column has the same bits for every thread count, instruction set and layout, and whatever the other columns
///   hold.
/// - Error of a column, u the unit round-off, y^ the result and y the exact orthonormal transform:
///   ||y^ - y||_2 <= c u log2(4 n) ||y||_2 to first order, c = 12 when N, which is n / 2 for even n and n for odd n,
///   has no prime factor above 5, and 33 when it has none above 31. With one above 31, c = 80 if errors spread evenly
///   over a transform; without this assumption the bound has a factor of about sqrt(8 n) more.
///   docs/theory/linalg/dct.md derives this as theorem 24.2 of Higham (2002).
/// - Infinities and NaN spread over their column; so does overflow, which needs n max |x_ij| beyond the range of T.
/// - Throws std::invalid_argument when the shapes differ, X and Y overlap otherwise, or a view is not one of real
///   memory; std::bad_alloc; and `interrupted` when options.run.keep_going answers false. Y is then unspecified.
///
/// Sources: Makhoul, "A fast cosine transform in one and two dimensions", IEEE Transactions on Acoustics, Speech, and
/// Signal Processing 28 (1980) 27-34; Bluestein, "A linear filtering approach to the computation of discrete Fourier
/// transform", IEEE Transactions on Audio and Electroacoustics 18 (1970) 451-455; Higham, Accuracy and Stability of
/// Numerical Algorithms, 2nd edition, SIAM, 2002, chapter 24.
///
///     #include <nearlinear/linalg.hpp>
///     #include <cstdio>
///     #include <vector>
///
///     int main() {
///       std::vector<double> x{1, 2, 3, 4};
///       const nearlinear::MatrixView<double> column(x.data(), 4, 1);
///       nearlinear::dct<double>(column, column, {.orthonormal = true});
///       for (const double value : x) std::printf("%.4f ", value);   // 5.0000 -2.2304 0.0000 -0.1585
///     }
template <class T>  // float, double
void dct(MatrixView<const T> X, MatrixView<T> Y, const DctOptions& options = {});

}  // namespace nearlinear

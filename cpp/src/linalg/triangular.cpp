// Triangular systems, halved until a tile of the matrix fits the cache:
//
//     [ M11  0  ] [ X1 ]   [ B1 ]        X1 = M11^{-1} B1,
//     [ M21 M22 ] [ X2 ] = [ B2 ]   =>   X2 = M22^{-1} (B2 - M21 X1),
//
// and likewise for upper triangles and from the right. Nearly all of the work is in the products; halving, rather than
// one tile after the other, makes them as thick as can be. Systems up to the depth of a step are solved by every thread
// for some columns of B (from the right: rows); those above are halved first, their products shared by the threads.
#include <algorithm>
#include <type_traits>

#include "linalg/cholesky_kernels.hpp"
#include "linalg/rates.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear {
namespace linalg {
namespace {

template <class T>
Operand<T> operand(MatrixView<T> matrix) {
  return {matrix.data(), matrix.row_stride(), 1};
}

/// Systems of up to `largest` rows go to solve_part(M, B), products C <- C - A B to subtract(k, A, B, C).
template <class T, class Solve, class Subtract>
void substitute(const Triangular<T>& M, bool from_right, MatrixView<T> B, Index largest, const Solve& solve_part,
                const Subtract& subtract) {
  const Index n = M.size;
  if (n <= largest) return solve_part(M, B);
  const Index n1 = half(n), n2 = n - n1;
  const Triangular<T> M11{M.entries, n1, M.is_lower}, M22{M.entries.at(n1, n1), n2, M.is_lower};
  const Operand<T> between = M.is_lower ? M.entries.at(n1, 0) : M.entries.at(0, n1);  // M21 or M12
  const MatrixView<T> B1 = from_right ? block(B, 0, 0, B.rows(), n1) : block(B, 0, 0, n1, B.cols());
  const MatrixView<T> B2 = from_right ? block(B, 0, n1, B.rows(), n2) : block(B, n1, 0, n2, B.cols());

  const auto eliminate = [&](Index known_size, MatrixView<T> known, MatrixView<T> rest) {
    if (from_right)
      subtract(known_size, operand(known), between, rest);
    else
      subtract(known_size, between, operand(known), rest);
  };
  if (M.is_lower != from_right) {
    substitute(M11, from_right, B1, largest, solve_part, subtract);
    eliminate(n1, B1, B2);
    substitute(M22, from_right, B2, largest, solve_part, subtract);
  } else {
    substitute(M22, from_right, B2, largest, solve_part, subtract);
    eliminate(n2, B2, B1);
    substitute(M11, from_right, B1, largest, solve_part, subtract);
  }
}

}  // namespace

template <class T>
void solve_on_this_thread(const Triangular<T>& M, bool from_right, MatrixView<T> B) {
  const auto& cholesky = cholesky_kernels_for<T>();
  const auto gemm = gemm_kernel<T>();
  substitute(
      M, from_right, B, largest_tile,
      [&](const Triangular<T>& tile, MatrixView<T> part) {
        cholesky.solve_tile(from_right, tile.entries, tile.is_lower, part.rows(), part.cols(), part.data(),
                            part.row_stride());
      },
      [&](Index k, const Operand<T>& a, const Operand<T>& b, MatrixView<T> c) {
        gemm(c.rows(), c.cols(), k, T{-1}, a, b, c.data(), c.row_stride());
      });
}

void Steps::run(Index count, double operations, const std::function<void(Index)>& body) {
  const double now = std::min(1.0, done_ / operations_);
  done_ += operations;
  monitor_.enter_stage(now, std::min(1.0, done_ / operations_));
  const int useful = threads_at(product_rate, n_threads_, operations);
  const int threads = static_cast<int>(std::min<Index>(useful, count));
  parallel_for(count, threads, monitor_, body);
}

template <class T>
void subtract_product(Index depth, Operand<T> A, Operand<T> B, MatrixView<T> C, Steps& steps) {
  const auto gemm = gemm_kernel<T>();
  const Cut down = cut_for_threads(C.rows(), steps.threads()), across = cut_for_threads(C.cols(), steps.threads());
  for (Index begin = 0; begin < depth; begin += step_depth) {
    const Index k = std::min(step_depth, depth - begin);
    const double operations =
        2.0 * static_cast<double>(C.rows()) * static_cast<double>(C.cols()) * static_cast<double>(k);
    steps.run(down.count * across.count, operations, [&](Index part) {
      const Index i = part / across.count, j = part % across.count;
      const MatrixView<T> c = block(C, down.begin(i), across.begin(j), down.length(i), across.length(j));
      gemm(c.rows(), c.cols(), k, T{-1}, A.at(down.begin(i), begin), B.at(begin, across.begin(j)), c.data(),
           c.row_stride());
    });
  }
}

template <class T>
void solve(Triangular<T> M, bool from_right, MatrixView<T> B, Steps& steps) {
  const Cut cut = cut_for_threads(from_right ? B.rows() : B.cols(), steps.threads());
  substitute(
      M, from_right, B, step_depth,
      [&](const Triangular<T>& part, MatrixView<T> rhs) {
        const double n = static_cast<double>(part.size);
        steps.run(cut.count, n * n * static_cast<double>(cut.size), [&](Index p) {
          solve_on_this_thread(part, from_right,
                               from_right ? block(rhs, cut.begin(p), 0, cut.length(p), rhs.cols())
                                          : block(rhs, 0, cut.begin(p), rhs.rows(), cut.length(p)));
        });
      },
      [&](Index k, const Operand<T>& a, const Operand<T>& b, MatrixView<T> c) { subtract_product(k, a, b, c, steps); });
}

template void solve_on_this_thread(const Triangular<float>&, bool, MatrixView<float>);
template void solve_on_this_thread(const Triangular<double>&, bool, MatrixView<double>);
template void solve(Triangular<float>, bool, MatrixView<float>, Steps&);
template void solve(Triangular<double>, bool, MatrixView<double>, Steps&);

namespace {

template <class T>
void check_and_solve(const char* function, Triangle triangle, Transpose op, MatrixView<const T> L, bool from_right,
                     MatrixView<T> B, const RunOptions& run) {
  require_valid_view(L, function, "L");
  require_valid_view(B, function, "B");
  const Index n = L.rows(), width = from_right ? B.rows() : B.cols();
  require(L.cols() == n && n == (from_right ? B.cols() : B.rows()), function, ": L is ", shape(L), " and B is ",
          shape(B), "; L must be square, and B have as many ", from_right ? "columns" : "rows");
  for (Index i = 0; i < n; ++i) require(L(i, i) != T{0}, function, ": L(", i, ", ", i, ") is 0; L must be invertible");
  Steps steps(run, static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(width));
  if (n == 0 || width == 0) return;
  const Triangular<T> stored{{L.data(), L.row_stride(), 1}, n, triangle == Triangle::lower};
  solve(op == Transpose::no ? stored : stored.transposed(), from_right, B, steps);
}

}  // namespace
}  // namespace linalg

template <class T>
void triangular_solve(Triangle triangle, Transpose op, MatrixView<const T> L, MatrixView<T> B, const RunOptions& run) {
  linalg::check_and_solve("triangular_solve", triangle, op, L, false, B, run);
}

template <class T>
void triangular_solve_right(Triangle triangle, Transpose op, MatrixView<const T> L, MatrixView<T> B,
                            const RunOptions& run) {
  linalg::check_and_solve("triangular_solve_right", triangle, op, L, true, B, run);
}

#define NEARLINEAR_INSTANTIATE(T)                                                                                \
  template void triangular_solve<T>(Triangle, Transpose, MatrixView<const T>, MatrixView<T>, const RunOptions&); \
  template void triangular_solve_right<T>(Triangle, Transpose, MatrixView<const T>, MatrixView<T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

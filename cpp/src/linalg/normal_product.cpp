// Products with the normal matrix: each block of rows is used for both products while it is in the cache.
#include <algorithm>
#include <type_traits>

#include "linalg/rates.hpp"
#include "linalg/reduction.hpp"
#include "linalg/tables.hpp"
#include "nearlinear/linalg/products.hpp"

namespace nearlinear {
namespace {

constexpr Index block_bytes = Index{1} << 16;  // of A, in the second-level cache between the two products

/// product <- product + A^T (A Z) for some rows of A; `az` has room for their products with Z.
template <class T>
void add_block(MatrixView<const T> rows, MatrixView<const T> Z, T* az, T* product) {
  const Index n = rows.rows(), d = rows.cols(), p = Z.cols(), stride = rows.row_stride();
  if (p == 1) return linalg::gemv_pair_kernel<T>()(n, d, rows.data(), stride, Z.data(), az, az, product);
  const auto gemm = linalg::gemm_kernel<T>();
  std::fill_n(az, n * p, T{0});
  gemm(n, p, d, T{1}, {rows.data(), stride, 1}, {Z.data(), Z.row_stride(), 1}, az, p);
  gemm(d, p, n, T{1}, {rows.data(), 1, stride}, {az, p, 1}, product, p);
}

}  // namespace

template <class T>
void normal_product(MatrixView<const T> A, MatrixView<const T> Z, MatrixView<T> Y, const RunOptions& run) {
  require_valid_view(A, "normal_product", "A");
  require_valid_view(Z, "normal_product", "Z");
  require_valid_view(Y, "normal_product", "Y");
  require(Z.rows() == A.cols() && Y.rows() == A.cols() && Y.cols() == Z.cols(), "normal_product: A is ", shape(A),
          ", Z is ", shape(Z), " and Y is ", shape(Y), "; they must be n x d, d x p and d x p");
  const Index d = A.cols(), p = Z.cols();
  const Index block = std::clamp<Index>(block_bytes / std::max<Index>(1, d * Index{sizeof(T)}), 32, 4096);
  const Index groups = linalg::group_count(A.rows(), block, d * p * Index{sizeof(double)});
  const double rate = p == 1 ? linalg::memory_rate : linalg::reflection_rate;
  Monitor monitor(run.keep_going);
  const int threads = linalg::threads_at(rate, run.n_threads, 4, A.rows(), d, p);
  if (d == 0 || p == 0) return;

  const Array<T> packed(d * p);  // Z without gaps
  for (Index i = 0; i < d; ++i) std::copy_n(Z.data() + i * Z.row_stride(), p, packed.data() + i * p);
  const Array<double> sums(d * p);
  linalg::sum_over_groups<double>(groups, d * p, threads, monitor, sums.data(),
                                  [&](Index group, double* partial, const linalg::Poll& poll) {
                                    const linalg::RowGroup rows(A.rows(), block, groups, group);
                                    const Array<T> az(block * p);
                                    const Array<T> product(d * p);
                                    for (Index begin = rows.begin; begin < rows.end; begin += block) {
                                      const Index count = std::min(block, rows.end - begin);
                                      poll(rows.fraction(begin));
                                      std::fill_n(product.data(), d * p, T{0});
                                      add_block<T>({A.data() + begin * A.row_stride(), count, d, A.row_stride()},
                                                   {packed.data(), d, p}, az.data(), product.data());
                                      for (Index i = 0; i < d * p; ++i) partial[i] += static_cast<double>(product[i]);
                                    }
                                  });
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < p; ++j) Y(i, j) = static_cast<T>(sums[i * p + j]);
}

template void normal_product(MatrixView<const float>, MatrixView<const float>, MatrixView<float>, const RunOptions&);
template void normal_product(MatrixView<const double>, MatrixView<const double>, MatrixView<double>, const RunOptions&);

}  // namespace nearlinear

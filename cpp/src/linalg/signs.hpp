/// Signs of vectors that are determined up to sign.
#pragma once

#include <algorithm>
#include <cmath>

#include "linalg/row_blocks.hpp"
#include "nearlinear/core.hpp"

namespace nearlinear::linalg {

/// Makes the first entry of largest absolute value in every column of U positive, and changes V's column alike.
template <class T>
void fix_signs(MatrixView<T> U, MatrixView<T> V, const RunOptions& run) {
  const Index k = U.cols();
  const RowBlocks blocks{U.rows(), k};
  const Array<T> largest = Array<T>::zeros(checked_product(blocks.count + 1, k));  // of every block, then of all
  blocks.run(run, 1, [&](Index block, Index begin, Index end) {
    T* const in_block = largest.data() + block * k;
    for (Index i = begin; i < end; ++i)
      for (Index j = 0; j < k; ++j)
        if (std::abs(U(i, j)) > std::abs(in_block[j])) in_block[j] = U(i, j);
  });
  T* const of_all = largest.data() + blocks.count * k;
  for (Index block = 0; block < blocks.count; ++block)
    for (Index j = 0; j < k; ++j)
      if (const T entry = largest[block * k + j]; std::abs(entry) > std::abs(of_all[j])) of_all[j] = entry;
  for (const MatrixView<T> matrix : {U, V})
    RowBlocks{matrix.rows(), k}.run(run, 1, [&](Index, Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        for (Index j = 0; j < k; ++j) matrix(i, j) = of_all[j] < 0 ? -matrix(i, j) : matrix(i, j);
    });
}

}  // namespace nearlinear::linalg

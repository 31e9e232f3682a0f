// Compiled for the baseline alone; see core/dispatch.hpp for the rules.
#include "ot/laplacian_kernels.hpp"

#include <Eigen/SparseCholesky>
#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using nearlinear::Index;
using Sparse = Eigen::SparseMatrix<double, Eigen::ColMajor, std::int32_t>;
using Rows = Eigen::SparseMatrix<double, Eigen::RowMajor, std::int32_t>;

bool solve(Index n, Index m, const Index* indptr, const std::int32_t* indices, const double* values,
           const double* weights, const double* d, bool grounded, const double* r, double* x) {
  const Index size = grounded ? m - 1 : m;
  x[m - 1] = 0;
  if (size == 0) return true;
  std::vector<std::int32_t> begins(indptr, indptr + n + 1);
  const Eigen::Map<const Rows> by_rows(n, m, indptr[n], begins.data(), indices, values);
  const Sparse P = by_rows;
  Sparse weighted = P;
  for (Index j = 0; j < m; ++j)
    for (Sparse::InnerIterator entry(weighted, j); entry; ++entry) entry.valueRef() *= weights[entry.row()];
  Sparse S = -(Sparse(P.transpose()) * weighted);
  Sparse diagonal(m, m);
  diagonal.reserve(Eigen::VectorX<std::int32_t>::Constant(m, 1));
  // A part in 1e14 keeps pivots of components that rounding makes singular positive.
  for (Index j = 0; j < m; ++j) diagonal.insert(j, j) = d[j] * (1 + 1e-14);
  S += diagonal;
  const Sparse corner = S.topLeftCorner(size, size);
  const Eigen::SimplicialLDLT<Sparse> factor(corner);
  if (factor.info() != Eigen::Success) return false;
  Eigen::Map<Eigen::VectorXd>(x, size) = factor.solve(Eigen::Map<const Eigen::VectorXd>(r, size));
  return std::all_of(x, x + m - 1, [](double entry) { return std::isfinite(entry); });
}

}  // namespace

const nearlinear::ot::LaplacianKernels nearlinear::ot::nearlinear_laplacians_base = {.solve = solve};

// Compiled for the baseline alone; see core/dispatch.hpp for the rules. Eigen decomposes; what its divide and conquer
// returns is checked, because there are inputs on which it is not accurate.
#include "linalg/decomposition_kernels.hpp"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <limits>

namespace {

using nearlinear::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using MatrixMap = Eigen::Map<Matrix>;
using VectorMap = Eigen::Map<Vector>;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

bool symmetric_eigen(Index n, double* a, double* values, bool wants_vectors) {
  MatrixMap matrix(a, n, n);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(
      matrix, wants_vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success) return false;
  VectorMap(values, n) = solver.eigenvalues();
  if (wants_vectors) matrix = solver.eigenvectors();
  return true;
}

/// The eigenvalues of the symmetric tridiagonal matrix with a zero diagonal and d_1, e_1, d_2, e_2, ..., d_n beside it
/// are the singular values of the bidiagonal matrix (d, e) and their negatives (Golub and Kahan, 1965).
bool singular_values(Index n, const double* a, double* s) {
  if (n == 1) {
    s[0] = std::abs(a[0]);
    return true;
  }
  const Matrix matrix = Eigen::Map<const Matrix>(a, n, n);
  const Eigen::internal::UpperBidiagonalization<Matrix> reduction(matrix);
  const auto& bidiagonal = reduction.bidiagonal();
  Vector beside(2 * n - 1);
  for (Index i = 0; i < n; ++i) beside(2 * i) = bidiagonal.diagonal(0)(i);
  for (Index i = 0; i + 1 < n; ++i) beside(2 * i + 1) = bidiagonal.diagonal(1)(i);
  Eigen::SelfAdjointEigenSolver<Matrix> solver;
  solver.computeFromTridiagonal(Vector::Zero(2 * n), beside, Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success) return false;
  for (Index i = 0; i < n; ++i) s[i] = std::max(0.0, solver.eigenvalues()(2 * n - 1 - i));
  return true;
}

bool is_orthogonal(const Matrix& u) {
  const double n = static_cast<double>(u.cols());
  const Matrix product = u.transpose() * u;
  // False for NaN. Far above the error of a good decomposition, a modest multiple of n u, and far below that of a bad
  // one.
  return (product - Matrix::Identity(u.cols(), u.cols())).norm() <= 32 * n * epsilon;
}

bool divide_and_conquer_svd(Index n, const double* a, double* u, double* s, double* v) {
  const Matrix matrix = Eigen::Map<const Matrix>(a, n, n);
  const Eigen::BDCSVD<Matrix> svd(matrix, Eigen::ComputeFullU | Eigen::ComputeFullV);
  if (svd.info() != Eigen::Success) return false;
  const Matrix residual = matrix - svd.matrixU() * svd.singularValues().asDiagonal() * svd.matrixV().transpose();
  const double bound = 32 * static_cast<double>(n) * epsilon * matrix.norm();
  if (!(residual.norm() <= bound) || !is_orthogonal(svd.matrixU()) || !is_orthogonal(svd.matrixV())) return false;
  MatrixMap(u, n, n) = svd.matrixU();
  VectorMap(s, n) = svd.singularValues();
  MatrixMap(v, n, n) = svd.matrixV();
  return true;
}

// A column of norm below this counts as zero, in a matrix whose largest entry is near 1: where the matrix is rank
// deficient, columns are roundings of roundings, and lose another 16 digits with every rotation until they underflow.
constexpr double negligible = epsilon * epsilon;

/// Hestenes' rotation of two columns (Golub and Van Loan, Matrix Computations, section 8.6.3).
Index jacobi_row(Index n, Index i, double* a, double* v) noexcept {
  MatrixMap A(a, n, n), V(v, n, n);
  Index rotated = 0;
  for (Index j = i + 1; j < n; ++j) {
    const double alpha = A.col(i).squaredNorm(), beta = A.col(j).squaredNorm(), gamma = A.col(i).dot(A.col(j));
    if (std::min(alpha, beta) <= negligible * negligible) continue;
    // The rounding error of gamma is up to n u times the norms: below it there is nothing to rotate for.
    if (!(std::abs(gamma) > static_cast<double>(n) * epsilon * std::sqrt(alpha) * std::sqrt(beta))) continue;
    ++rotated;
    const double zeta = (beta - alpha) / (2 * gamma);
    const double tangent = (zeta >= 0 ? 1 : -1) / (std::abs(zeta) + std::hypot(1.0, zeta));
    const double cosine = 1 / std::hypot(1.0, tangent), sine = cosine * tangent;
    const auto rotate = [&](double* x, double* y) {
      for (Index k = 0; k < n; ++k) {
        const double old = x[k];
        x[k] = cosine * old - sine * y[k];
        y[k] = sine * old + cosine * y[k];
      }
    };
    rotate(a + i * n, a + j * n);
    rotate(v + i * n, v + j * n);
  }
  return rotated;
}

void jacobi_finish(Index n, double* a, double* s, double* v) {
  MatrixMap A(a, n, n), V(v, n, n);
  const Vector norms = A.colwise().norm();
  Eigen::VectorX<Index> order = Eigen::VectorX<Index>::LinSpaced(n, 0, n - 1);
  std::stable_sort(order.data(), order.data() + n, [&](Index i, Index j) { return norms(i) > norms(j); });
  Matrix U(n, n), sorted(n, n);
  Index rank = 0;
  for (Index j = 0; j < n; ++j) {
    s[j] = norms(order(j));
    sorted.col(j) = V.col(order(j));
    if (s[j] > negligible) U.col(rank++) = A.col(order(j)) / s[j];
  }
  if (rank < n) {
    const Eigen::HouseholderQR<Matrix> qr(U.leftCols(rank));
    const Matrix Q = qr.householderQ() * Matrix::Identity(n, n);
    U.rightCols(n - rank) = Q.rightCols(n - rank);
  }
  A = U;
  V = sorted;
}

}  // namespace

const nearlinear::linalg::DecompositionKernels nearlinear::linalg::nearlinear_decompositions_base = {
    .symmetric_eigen = symmetric_eigen,
    .singular_values = singular_values,
    .divide_and_conquer_svd = divide_and_conquer_svd,
    .jacobi_row = jacobi_row,
    .jacobi_finish = jacobi_finish,
};

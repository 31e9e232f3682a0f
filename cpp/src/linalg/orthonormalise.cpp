#include "linalg/orthonormalise.hpp"

#include "linalg/progress.hpp"
#include "linalg/scaling.hpp"
#include "nearlinear/core/array.hpp"
#include "nearlinear/linalg/qr.hpp"

namespace nearlinear::linalg {

template <class T>
void orthonormalise(MatrixView<T> Y, MatrixView<double> R, const RunOptions& run) {
  const Index m = Y.rows(), n = Y.cols();
  if (n == 0) return;
  Progress progress(run);
  // By a power of two to the middle of the range, so that CholeskyQR2 can take on entries of any size.
  const int exponent = scale_of(Y, progress.part(0, 0.05)).exponent;
  const Array<double> scaled(checked_product(m, n)), basis(checked_product(m, n));
  const MatrixView<double> W(scaled.data(), m, n), Q(basis.data(), m, n);
  copy_scaled(Y, -exponent, W, progress.part(0.05, 0.1));
  qr_thin<double>(W, Q, R, QrMethod::automatic, progress.part(0.1, 0.9));
  copy_scaled(Q, 0, Y, progress.part(0.9, 1));
  copy_scaled(R, exponent, R, progress.part(1, 1));
}

template void orthonormalise(MatrixView<float>, MatrixView<double>, const RunOptions&);
template void orthonormalise(MatrixView<double>, MatrixView<double>, const RunOptions&);

}  // namespace nearlinear::linalg

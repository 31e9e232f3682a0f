// Any bytes make a least-squares problem, which must be solved with the smallest residual, and a sketch of it, which
// must come back from its bytes; bytes that are no sketch must be refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include "linalg/fuzz_inputs.hpp"
#include "nearlinear/sketch.hpp"

namespace {

using nearlinear::Index;
using nearlinear::MatrixView;
using nearlinear::test::FuzzMatrix;

void require(bool condition) {
  if (!condition) std::abort();
}

double residual(MatrixView<const double> A, MatrixView<const double> B, MatrixView<const double> X) {
  double square = 0;
  for (Index i = 0; i < A.rows(); ++i) {
    double r = B(i, 0);
    for (Index j = 0; j < A.cols(); ++j) r -= A(i, j) * X(j, 0);
    square += r * r;
  }
  return std::sqrt(square);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  try {
    (void)nearlinear::RowSketch<double>::from_bytes({reinterpret_cast<const std::byte*>(data), size});
    require(false);  // the mark at its beginning is not found by chance
  } catch (const std::invalid_argument&) {
  }
  nearlinear::test::FuzzInput read{data, size};
  const Index n = 1 + read() % 200, d = 1 + read() % 12, split = read() % n;
  const auto method = static_cast<nearlinear::LstsqMethod>(read() % 6);
  const auto kind = static_cast<nearlinear::SketchKind>(read() % 7);
  const double spread = read() % 3;
  FuzzMatrix A(n, d, read() % 3), B(n, 1, read() % 3), X(d, 1, 0), Y(d, 1, 0);
  for (double& entry : A.storage) entry = (read() % 16 - 7) * std::pow(10.0, spread * (read() % 4));
  for (double& entry : B.storage) entry = read() % 16 - 7;
  const FuzzMatrix &a = A, &b = B;

  const auto exact = nearlinear::lstsq<double>(a.view(), b.view(), X.view(), {.method = nearlinear::LstsqMethod::tsqr});
  const double least = residual(a.view(), b.view(), X.view());
  require(std::isfinite(least) && exact.rank >= 0 && exact.rank <= std::min(n, d));
  if (n >= d && (method != nearlinear::LstsqMethod::sketch_solve)) {
    (void)nearlinear::lstsq<double>(a.view(), b.view(), Y.view(), {.method = method, .sketch = kind});
    double norm = 0;
    for (Index j = 0; j < d; ++j) norm = std::hypot(norm, Y.view()(j, 0));
    // Where the rank is a matter of rounding, two answers to it are right.
    const double allowed = exact.rank < d ? 1e-5 : 1e-8;
    require(std::abs(residual(a.view(), b.view(), Y.view()) - least) <=
            allowed * (1 + least + norm * std::pow(10.0, 3 * spread)));
  }

  if (kind == nearlinear::SketchKind::dct || kind == nearlinear::SketchKind::pooled) return 0;
  const nearlinear::SketchSpec spec = nearlinear::sketch_for(0, d, kind, 1 + read() % 40, 5);
  nearlinear::RowSketch<double> whole(d, 1, spec), parts(d, 1, spec);
  whole.add_rows(0, a.view(), b.view());
  const auto rows = [split](MatrixView<const double> matrix, bool first) {
    return first ? MatrixView<const double>(matrix.data(), split, matrix.cols(), matrix.row_stride())
                 : MatrixView<const double>(matrix.data() + split * matrix.row_stride(), matrix.rows() - split,
                                            matrix.cols(), matrix.row_stride());
  };
  parts.add_rows(split, rows(a.view(), false), rows(b.view(), false));
  parts.add_rows(0, rows(a.view(), true), rows(b.view(), true));
  const auto copy = nearlinear::RowSketch<double>::from_bytes(parts.to_bytes());
  FuzzMatrix SA(spec.rows, d, 0), SB(spec.rows, 1, 0), SA2(spec.rows, d, 0), SB2(spec.rows, 1, 0);
  whole.matrices(SA.view(), SB.view());
  copy.matrices(SA2.view(), SB2.view());
  double scale = 1;
  for (const double entry : A.storage) scale += std::abs(entry);
  for (std::size_t i = 0; i < SA.storage.size(); ++i)
    require(std::abs(SA.storage[i] - SA2.storage[i]) <= 1e-12 * scale * 200);
  return 0;
}

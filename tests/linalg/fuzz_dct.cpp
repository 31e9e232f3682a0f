// Any bytes make a shape, options and entries: the transform and its inverse must restore the entries, in place as well
// as out of place, and leave gaps alone.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "nearlinear/linalg.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nearlinear::Index;
  if (size < 4) return 0;
  const Index rows = 1 + data[0] + 256 * (data[1] % 5);
  const Index cols = 1 + data[2] % 37;
  const Index row_stride = cols + data[3] % 3;
  const nearlinear::DctOptions forward{.orthonormal = data[3] % 2 == 0, .run = {.n_threads = 1 + data[3] % 2}};
  nearlinear::DctOptions inverse = forward;
  inverse.inverse = true;

  // Exactly as large as the view: AddressSanitizer sees a step beyond it.
  std::vector<float> given(static_cast<std::size_t>((rows - 1) * row_stride + cols));
  for (std::size_t i = 0; i < given.size(); ++i) given[i] = static_cast<float>(data[i % size]) - 100;
  std::vector<float> storage = given, other = given;
  const nearlinear::MatrixView<float> X(storage.data(), rows, cols, row_stride);
  const nearlinear::MatrixView<float> Y(other.data(), rows, cols, row_stride);
  nearlinear::dct<float>(X, Y, forward);
  if (storage != given) std::abort();
  nearlinear::dct<float>(X, X, forward);
  if (storage != other) std::abort();
  nearlinear::dct<float>(X, X, inverse);

  // Twice 80 u log2(4 n) ||x||, the largest bound of the header, on each entry.
  const double relative =
      160.0 * std::numeric_limits<float>::epsilon() / 2 * std::log2(4.0 * static_cast<double>(rows));
  for (Index j = 0; j < row_stride; ++j) {
    double norm = 0, worst = 0;
    for (Index i = 0; i < rows && i * row_stride + j < static_cast<Index>(given.size()); ++i) {
      const auto at = static_cast<std::size_t>(i * row_stride + j);
      const double expected = given[at];
      norm += expected * expected;
      worst = std::max(worst, std::abs(static_cast<double>(storage[at]) - expected));
    }
    if (!(worst <= (j < cols ? relative * std::sqrt(norm) : 0.0))) std::abort();
  }
  return 0;
}

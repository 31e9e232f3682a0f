// What options and the first pass must satisfy.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "sketch/tall_lstsq.hpp"

namespace nearlinear::sketch {

void require_valid(const LstsqOptions& options, Index cols) {
  require(options.ridge >= 0 && std::isfinite(options.ridge), "lstsq: ridge is ", options.ridge,
          "; it must be finite and not negative");
  require(options.delta > 0 && options.delta < 1, "lstsq: delta is ", options.delta, "; it must be between 0 and 1");
  require(!options.rcond || (*options.rcond >= 0 && *options.rcond < 1), "lstsq: rcond is ", options.rcond.value_or(0),
          "; it must be in [0, 1)");
  require(!options.tol || *options.tol > 0, "lstsq: tol is ", options.tol.value_or(0), "; it must be positive");
  require(options.maxiter >= 0, "lstsq: maxiter is ", options.maxiter, "; it must not be negative");
  require(options.sketch_rows == 0 || options.sketch_rows >= cols, "lstsq: sketch_rows is ", options.sketch_rows,
          " but A has ", cols, " columns; it must not be less");
}

template <class T>
void require_scale(Passes<T>& passes, double square_of_A, std::span<const double> squares_of_b, const RunOptions& run) {
  constexpr double least = std::is_same_v<T, float> ? 1e-24 : 1e-240, most = std::is_same_v<T, float> ? 1e30 : 1e240;
  const auto is_in_range = [](double square) { return square >= least && square <= most; };
  if (is_in_range(square_of_A) && std::all_of(squares_of_b.begin(), squares_of_b.end(), is_in_range)) return;
  const Magnitude largest = passes.magnitude(run);
  const OutOfScale scale{largest.a > 0 ? -std::ilogb(largest.a) : 0, largest.b > 0 ? -std::ilogb(largest.b) : 0};
  if (scale.a != 0 || scale.b != 0) throw scale;
}

template void require_scale(Passes<float>&, double, std::span<const double>, const RunOptions&);
template void require_scale(Passes<double>&, double, std::span<const double>, const RunOptions&);

}  // namespace nearlinear::sketch

// Any bytes make gradients of small integers and what is done with a window of them: it must go on being the inverse of
// its Fisher matrix, and refuse NaN and infinities without harm.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "fisher/dense.hpp"
#include "nearlinear/fisher.hpp"

namespace {

using namespace nearlinear;
using namespace nearlinear::test;

void require_that(bool condition) {
  if (!condition) std::abort();
}

/// F F^{-1} x = x, F from the gradients that the window says it holds. Small integers are exact in every storage.
void require_inverse(SlidingFisherInverse<double>& inverse, const std::vector<std::vector<double>>& held, double lambda,
                     double s) {
  const Index d = inverse.n_params();
  require_that(inverse.n_stored() == static_cast<Index>(held.size()));
  std::vector<double> x(static_cast<std::size_t>(d)), y(x.size()), g(x.size());
  for (std::size_t j = 0; j < x.size(); ++j) x[j] = static_cast<double>(j % 5) - 2;
  inverse.apply({x.data(), 1, d}, {y.data(), 1, d});
  std::vector<double> product(x.size());
  double largest = 1;
  for (std::size_t j = 0; j < x.size(); ++j) product[j] = lambda * y[j];
  for (std::size_t i = 0; i < held.size(); ++i) {
    inverse.gradient(static_cast<Index>(i), g);
    require_that(g == held[i]);
    double dot = 0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      dot += g[j] * y[j];
      largest += g[j] * g[j];
    }
    for (std::size_t j = 0; j < x.size(); ++j) product[j] += dot * g[j] / s;
  }
  for (std::size_t j = 0; j < x.size(); ++j)
    require_that(std::abs(product[j] - x[j]) <= 1e-12 * largest * largest / lambda);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const Index d = 1 + data[0] % 20, window = 1 + data[1] % 6;
  const auto storage = static_cast<GradientStorage>(data[2] % 4);
  const bool by_count = data[3] % 2 == 0;
  double lambda = 0.25;
  SlidingFisherInverse<double> inverse(
      d, window,
      {.damping = lambda,
       .normalization = by_count ? FisherNormalization::count : FisherNormalization::capacity,
       .storage = storage});
  std::vector<std::vector<double>> held;
  std::size_t next = 4;
  for (int step = 0; step < 12 && next + 1 < size; ++step) {
    const std::uint8_t action = data[next++];
    if (action % 4 == 0 && !held.empty()) {
      const auto age = static_cast<Index>(data[next++] % held.size());
      inverse.remove(age);
      held.erase(held.begin() + age);
    } else if (action % 16 == 1) {
      lambda = 0.25 + static_cast<double>(data[next++] % 4);
      inverse.set_damping(lambda);
    } else {
      std::vector<double> g(static_cast<std::size_t>(d));
      bool finite = true;
      for (double& entry : g) {
        const std::uint8_t byte = data[next++ % size];
        entry = static_cast<double>(byte % 9) - 4;
        if (byte == 255) entry = std::numeric_limits<double>::quiet_NaN();
        finite = finite && byte != 255;
      }
      bool refused = false;
      try {
        inverse.update({g.data(), 1, d});
      } catch (const std::invalid_argument&) {
        refused = true;
      }
      require_that(refused != finite);
      if (finite) {
        if (static_cast<Index>(held.size()) == window) held.erase(held.begin());
        held.push_back(g);
      }
    }
    require_inverse(inverse, held, lambda, by_count ? static_cast<double>(held.size()) : static_cast<double>(window));
  }
  return 0;
}

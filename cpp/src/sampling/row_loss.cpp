#include "sampling/row_loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/elementwise_kernels.hpp"
#include "linalg/kernels.hpp"

namespace nearlinear::sampling {
namespace {

constexpr Index chunk = 512;     // entries that go through all steps in the nearest cache
constexpr double tiny = 1e-300;  // in place of 0 where a logarithm is taken

const linalg::ElementwiseKernelsOf<double>& elementwise() { return linalg::kernels().elementwise->f64; }

/// body(begin, size) for chunks.
template <class Body>
void for_chunks(std::size_t size, const Body& body) {
  for (std::size_t begin = 0; begin < size; begin += chunk) body(begin, std::min<std::size_t>(chunk, size - begin));
}

/// out_j <- (y_j^2 + smoothing^2)^exponent for a chunk.
void powers(const double* y, std::size_t size, double smoothing, double exponent, double* out) {
  const double floor = std::max(tiny, smoothing * smoothing);
  for (std::size_t j = 0; j < size; ++j) out[j] = y[j] * y[j] + floor;
  elementwise().log(out, out, static_cast<Index>(size));
  for (std::size_t j = 0; j < size; ++j) out[j] *= exponent;
  elementwise().exp(out, out, static_cast<Index>(size));
}

double softplus(double t) { return std::max(t, 0.0) + std::log1p(std::exp(-std::abs(t))); }

}  // namespace

double LossFunction::value(double t) const {
  switch (loss_) {
    case RowLoss::lp:
      return std::pow(std::abs(t), p_) / p_;
    case RowLoss::huber:
      return std::abs(t) <= 1 ? t * t / 2 : std::abs(t) - 0.5;
    case RowLoss::logistic:
      break;
  }
  return softplus(t);
}

double LossFunction::gradient(std::span<const double> w, std::span<const double> y, std::span<double> g) const {
  double total = 0;
  for_chunks(y.size(), [&](std::size_t begin, std::size_t size) {
    const double* const at = y.data() + begin;
    const double* const weight = w.data() + begin;
    double* const to = g.data() + begin;
    double sum = 0;
    if (loss_ == RowLoss::lp) {
      powers(at, size, 0, p_ / 2 - 1, to);
      for (std::size_t j = 0; j < size; ++j) to[j] *= weight[j] * at[j];
      for (std::size_t j = 0; j < size; ++j) sum += to[j] * at[j];
      sum /= p_;
    } else if (loss_ == RowLoss::huber) {
      for (std::size_t j = 0; j < size; ++j) {
        const double slope = std::clamp(at[j], -1.0, 1.0);
        to[j] = weight[j] * slope;
        sum += weight[j] * slope * (at[j] - slope / 2);
      }
    } else {
      double exponential[chunk] = {}, logarithm[chunk] = {};
      for (std::size_t j = 0; j < size; ++j) exponential[j] = -std::abs(at[j]);
      elementwise().exp(exponential, exponential, static_cast<Index>(size));
      for (std::size_t j = 0; j < size; ++j) logarithm[j] = 1 + exponential[j];
      elementwise().log(logarithm, logarithm, static_cast<Index>(size));
      for (std::size_t j = 0; j < size; ++j) {
        const double e = exponential[j];
        to[j] = weight[j] * (at[j] > 0 ? 1 : e) / (1 + e);
        // log(1 + e) = e - e^2 / 2 + ... where rounding would leave nothing of e.
        sum += weight[j] * (std::max(at[j], 0.0) + (e < 1e-5 ? e * (1 - e / 2) : logarithm[j]));
      }
    }
    total += sum;
  });
  return total;
}

void LossFunction::curvature(std::span<const double> w, std::span<const double> y, double smoothing,
                             std::span<double> h) const {
  for_chunks(y.size(), [&](std::size_t begin, std::size_t size) {
    const double* const at = y.data() + begin;
    const double* const weight = w.data() + begin;
    double* const to = h.data() + begin;
    if (loss_ == RowLoss::lp) {
      powers(at, size, smoothing, p_ / 2 - 1, to);
      for (std::size_t j = 0; j < size; ++j) to[j] *= weight[j];
    } else if (loss_ == RowLoss::huber) {
      for (std::size_t j = 0; j < size; ++j) {
        const double size_of = std::abs(at[j]);
        to[j] = weight[j] * (size_of <= 1 ? 1 : smoothing / size_of);
      }
    } else {
      for (std::size_t j = 0; j < size; ++j) to[j] = -std::abs(at[j]);
      elementwise().exp(to, to, static_cast<Index>(size));
      for (std::size_t j = 0; j < size; ++j) {  // tanh(y / 2) / (2 y) is that of a square that lies above the loss
        const double e = to[j], length = std::abs(at[j]);
        const double above = length > 1e-3 ? (1 - e) / (1 + e) / (2 * length) : 0.25;
        to[j] = weight[j] * (e / ((1 + e) * (1 + e)) + smoothing * above);
      }
    }
  });
}

double LossFunction::dual_bound(std::span<const double> w, std::span<const double> v, double mu_t) const {
  double largest = 0;
  for (std::size_t j = 0; j < v.size(); ++j) largest = std::max(largest, std::abs(v[j]) / w[j]);
  if (!(largest > 0) || !std::isfinite(largest)) return -std::numeric_limits<double>::infinity();
  if (loss_ == RowLoss::lp) {  // mu t = v^T y <= |v / w|_q |y|_p, norms weighted with w
    if (!(mu_t > 0)) return 0;
    const double q = p_ / (p_ - 1);
    double total = 0, scaled[chunk] = {};
    for_chunks(v.size(), [&](std::size_t begin, std::size_t size) {
      for (std::size_t j = 0; j < size; ++j) scaled[j] = v[begin + j] / w[begin + j] / largest;
      powers(scaled, size, 0, q / 2, scaled);
      double sum = 0;
      for (std::size_t j = 0; j < size; ++j) sum += w[begin + j] * scaled[j];
      total += sum;
    });
    return std::pow(mu_t / (largest * std::pow(total, 1 / q)), p_) / p_;
  }
  if (loss_ == RowLoss::huber) {  // rho*(u) = u^2 / 2 for |u| <= 1
    const double scale = 1 / std::max(1.0, largest);
    double total = 0;
    for (std::size_t j = 0; j < v.size(); ++j) total += scale * v[j] * (scale * v[j] / w[j]);
    return scale * mu_t - total / 2;
  }
  double total = 0;  // rho*(u) = u log u + (1 - u) log(1 - u) for 0 <= u <= 1
  for (std::size_t j = 0; j < v.size(); ++j) {
    const double u = v[j] / w[j];
    if (!(u >= 0 && u <= 1)) return -std::numeric_limits<double>::infinity();
    total += w[j] * ((u > 0 ? u * std::log(u) : 0) + (u < 1 ? (1 - u) * std::log1p(-u) : 0));
  }
  return mu_t - total;
}

double LossFunction::natural_step() const { return loss_ == RowLoss::lp ? 1 / std::max(p_ - 1, 0.25) : 1; }

}  // namespace nearlinear::sampling

// Costs between some rows and columns, and what is wrong with them.
#include "ot/costs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/arithmetic.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear::ot {
namespace {

Index size_of(const Indices* indices, Index all) { return indices == nullptr ? all : std::ssize(*indices); }
Index at(const Indices* indices, Index i) { return indices == nullptr ? i : (*indices)[static_cast<std::size_t>(i)]; }

template <class T>
void require_finite_points(MatrixView<const T> points, const char* function, const char* argument) {
  for (Index i = 0; i < points.rows(); ++i)
    for (Index k = 0; k < points.cols(); ++k)
      require(std::isfinite(points(i, k)), function, ": ", argument, " has the entry ", points(i, k), " at index (", i,
              ", ", k, "); all entries must be finite");
}

template <class T>
double norm_of(MatrixView<const T> points, Index i) {
  double largest = 0, sum = 0;  // scaled, so that squares do not overflow
  for (const T entry : points.row(i)) largest = std::max(largest, std::abs(static_cast<double>(entry)));
  if (largest == 0) return 0;
  for (const T entry : points.row(i)) sum += std::pow(static_cast<double>(entry) / largest, 2);
  return largest * std::sqrt(sum);
}

template <class T>
void require_angles(MatrixView<const T> points, const char* function, const char* argument) {
  for (Index i = 0; i < points.rows(); ++i)
    require(norm_of(points, i) > 0, function, ": ", argument, " has a point that is zero at index ", i,
            "; the metric cosine has no angle to it");
}

}  // namespace

template <class T>
void Costs::gather(MatrixView<const T> matrix, const Indices* rows, const Indices* cols) {
  const T* data = matrix.data();
  row_stride_ = matrix.row_stride();
  if (rows != nullptr || cols != nullptr) {
    copy_ = Memory::allocate(Array<T>::bytes(checked_product(rows_, cols_)));
    T* const copy = static_cast<T*>(copy_.data());
    for (Index i = 0; i < rows_; ++i) {
      const T* const row = data + at(rows, i) * row_stride_;
      for (Index j = 0; j < cols_; ++j) copy[i * cols_ + j] = row[at(cols, j)];
    }
    data = copy;
    row_stride_ = cols_;
  }
  if constexpr (std::is_same_v<T, double>)
    f64_ = data;
  else
    f32_ = data;
}

template <class T>
void Costs::gather(const PointCloudCost<T>& clouds, const Indices* rows, const Indices* cols) {
  constexpr Index vectors = 32;  // what Distances may write beyond
  dim_ = clouds.x.cols();
  y_stride_ = ceil_divide(cols_, vectors) * vectors;
  x_ = Array<double>(checked_product(rows_, dim_));
  y_ = Array<double>::zeros(checked_product(y_stride_, dim_));
  // 1 - x y / (|x| |y|) is half the squared distance of the unit vectors, which does not cancel.
  const bool angles = clouds.metric == CostMetric::cosine;
  const auto scale_of = [angles](MatrixView<const T> points, Index i) {
    return angles ? std::sqrt(0.5) / norm_of(points, i) : 1.0;
  };
  for (Index i = 0; i < rows_; ++i) {
    const Index row = at(rows, i);
    const double scale = scale_of(clouds.x, row);
    for (Index k = 0; k < dim_; ++k) x_[i * dim_ + k] = scale * static_cast<double>(clouds.x(row, k));
  }
  for (Index j = 0; j < cols_; ++j) {
    const Index row = at(cols, j);
    const double scale = scale_of(clouds.y, row);
    for (Index k = 0; k < dim_; ++k) y_[k * y_stride_ + j] = scale * static_cast<double>(clouds.y(row, k));
  }
  switch (clouds.metric) {
    case CostMetric::sqeuclidean:
    case CostMetric::cosine:
      distances_ = kernels().squared_euclidean;
      break;
    case CostMetric::euclidean:
      distances_ = kernels().euclidean;
      break;
    case CostMetric::cityblock:
      distances_ = kernels().cityblock;
      break;
  }
}

template <class T>
Costs::Costs(const TransportCost<T>& cost, const Indices* rows, const Indices* cols)
    : rows_(size_of(rows, cost_rows(cost))), cols_(size_of(cols, cost_cols(cost))) {
  std::visit([&](const auto& form) { gather(form, rows, cols); }, cost);
}

Costs::Best Costs::best(Index i, const double* g, double* scratch) const {
  Best best{0, -std::numeric_limits<double>::infinity()};
  for_tiles(i, scratch, [&]<class T>(const T* cost, Index first, Index count) {
    double slack;
    const Index at = row_kernels<T>().best(cost, g + first, count, &slack);
    if (slack > best.slack) best = {first + at, slack};
  });
  return best;
}

double Costs::cost(Index i, Index j, double* scratch) const {
  constexpr Index vectors = 32;  // what Distances computes together
  if (f64_ != nullptr) return f64_[i * row_stride_ + j];
  if (f32_ != nullptr) return static_cast<double>(f32_[i * row_stride_ + j]);
  const Index first = j / vectors * vectors;
  distances_(x_.data() + i * dim_, y_.data() + first, dim_, y_stride_, vectors, scratch);
  return scratch[j - first];
}

template <class T>
void require_valid_cost(const TransportCost<T>& cost, const char* function) {
  if (const auto* C = std::get_if<MatrixView<const T>>(&cost)) {
    require_valid_view(*C, function, "C");
    require(C->rows() > 0 && C->cols() > 0, function, ": C is ", shape(*C), "; it must have rows and columns");
    return;
  }
  const auto& clouds = std::get<PointCloudCost<T>>(cost);
  require_valid_view(clouds.x, function, "x");
  require_valid_view(clouds.y, function, "y");
  require(clouds.x.rows() > 0 && clouds.x.cols() > 0, function, ": x is ", shape(clouds.x),
          "; it must have points and coordinates");
  require(clouds.y.rows() > 0 && clouds.y.cols() == clouds.x.cols(), function, ": x is ", shape(clouds.x), " and y is ",
          shape(clouds.y), "; both must have points, with as many coordinates");
  require_finite_points(clouds.x, function, "x");
  require_finite_points(clouds.y, function, "y");
  if (clouds.metric == CostMetric::cosine) {
    require_angles(clouds.x, function, "x");
    require_angles(clouds.y, function, "y");
  }
}

template Costs::Costs(const TransportCost<float>&, const Indices*, const Indices*);
template Costs::Costs(const TransportCost<double>&, const Indices*, const Indices*);
template void require_valid_cost(const TransportCost<float>&, const char*);
template void require_valid_cost(const TransportCost<double>&, const char*);

}  // namespace nearlinear::ot

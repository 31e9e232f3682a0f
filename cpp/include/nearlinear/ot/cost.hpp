/// What is to be transported, and what it costs to move mass from i to j.
#pragma once

#include <span>
#include <variant>

#include "nearlinear/core.hpp"

namespace nearlinear {

enum class CostMetric {
  sqeuclidean,  ///< sum_k (x_k - y_k)^2
  euclidean,    ///< its root
  cityblock,    ///< sum_k |x_k - y_k|
  cosine,       ///< 1 - x y / (|x| |y|); no point may be zero
};

/// The costs between the rows of x, n x d, and those of y, m x d. They are computed whenever they are needed: n m d
/// operations for a pass, and no memory.
template <class T>  // float, double
struct PointCloudCost {
  MatrixView<const T> x;
  MatrixView<const T> y;
  CostMetric metric = CostMetric::sqeuclidean;
};

/// A matrix of costs, n x m, of which +Inf forbids a pair, or two clouds of points.
template <class T>
using TransportCost = std::variant<MatrixView<const T>, PointCloudCost<T>>;

/// What is to be transported where.
template <class T>  // float, double
struct TransportProblem {
  std::span<const double> a = {};  ///< n masses; empty: 1/n each
  std::span<const double> b = {};  ///< m masses; empty: 1/m each
  TransportCost<T> cost;
};

}  // namespace nearlinear

/// Costs as Python hands them over.
#pragma once

#include <string>

#include "arrays.hpp"
#include "nearlinear/ot/cost.hpp"

/// Python has checked the name.
inline nearlinear::CostMetric metric_of(const std::string& name) {
  if (name == "sqeuclidean") return nearlinear::CostMetric::sqeuclidean;
  if (name == "euclidean") return nearlinear::CostMetric::euclidean;
  return name == "cityblock" ? nearlinear::CostMetric::cityblock : nearlinear::CostMetric::cosine;
}

/// C is the matrix of costs and y unused, when `metric` is empty; otherwise C is x.
template <class T>
nearlinear::TransportCost<T> cost_of(const MatrixInput<T>& C, const MatrixInput<T>& y, const std::string& metric) {
  if (metric.empty()) return view(C);
  return nearlinear::PointCloudCost<T>{view(C), view(y), metric_of(metric)};
}

/// Names that Python uses for choices.
#pragma once

#include <string>

#include "arrays.hpp"
#include "nearlinear/fisher/gradient_storage.hpp"

/// Python has checked the name.
inline nearlinear::GradientStorage storage_of(const std::string& name) {
  if (name == "float64") return nearlinear::GradientStorage::float64;
  if (name == "float32") return nearlinear::GradientStorage::float32;
  return name == "float16" ? nearlinear::GradientStorage::float16 : nearlinear::GradientStorage::bfloat16;
}

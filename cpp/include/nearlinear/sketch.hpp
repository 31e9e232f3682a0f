/// The sketch room: random matrices that shorten tall ones, and least squares.
///
/// | header                 | what it holds                                                     |
/// |------------------------|-------------------------------------------------------------------|
/// | sketch/sketch.hpp      | families of sketches, S A and S^T Y                               |
/// | sketch/row_sketch.hpp  | sketches of rows that come one block after the other, error bars  |
/// | sketch/lstsq.hpp       | least squares, as accurate as QR                                  |
/// | sketch/kron.hpp        | least squares with Kronecker products, and their sketches         |
/// | sketch/ridge_path.hpp  | ridge regression for many ridges, leave-one-out errors            |
#pragma once

#include "nearlinear/sketch/kron.hpp"
#include "nearlinear/sketch/lstsq.hpp"
#include "nearlinear/sketch/ridge_path.hpp"
#include "nearlinear/sketch/row_sketch.hpp"
#include "nearlinear/sketch/sketch.hpp"

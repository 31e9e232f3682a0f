/// Products of sparse matrices.
#pragma once

#include "nearlinear/sparse/csr.hpp"
#include "nearlinear/sparse/dense_matmul.hpp"
#include "nearlinear/sparse/matmul.hpp"

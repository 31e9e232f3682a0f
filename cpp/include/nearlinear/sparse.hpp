/// Products of sparse matrices.
#pragma once

#include "nearlinear/sparse/csr.hpp"
#include "nearlinear/sparse/dense_matmul.hpp"
#include "nearlinear/sparse/gram.hpp"
#include "nearlinear/sparse/matmul.hpp"
#include "nearlinear/sparse/matpow.hpp"
#include "nearlinear/sparse/named_semirings.hpp"
#include "nearlinear/sparse/plan.hpp"
#include "nearlinear/sparse/semiring_matmul.hpp"
#include "nearlinear/sparse/semirings.hpp"
#include "nearlinear/sparse/triple_product.hpp"

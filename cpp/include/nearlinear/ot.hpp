/// Optimal transport: how to move one distribution of mass to another at the least cost.
///
///     min  <C, P> + reg * sum_ij P_ij log P_ij    subject to    P 1 = a,  P^T 1 = b,  P >= 0
///
/// sinkhorn() solves the entropic problem for any regularisation, on a matrix of costs or between two clouds of points,
/// whose matrix of costs is never formed, with marginals that hold exactly or are penalised; sinkhorn_batch() solves
/// many. TransportPlan is what dual variables stand for. barycenter() averages masses. exact() solves the problem
/// without regularisation, a linear program, whose plan has at most n + m - 1 entries. quadratic() regularises by
/// squares, which leave plans sparse; sparse_plan() limits the entries per column as well. route() assigns tokens to
/// experts of limited capacity.
#pragma once

#include "nearlinear/ot/barycenter.hpp"
#include "nearlinear/ot/cost.hpp"
#include "nearlinear/ot/exact.hpp"
#include "nearlinear/ot/quadratic.hpp"
#include "nearlinear/ot/route.hpp"
#include "nearlinear/ot/sinkhorn.hpp"
#include "nearlinear/ot/sparse_plan.hpp"
#include "nearlinear/ot/transport_plan.hpp"

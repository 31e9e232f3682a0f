/// Products with the inverse of a damped empirical Fisher matrix, which nobody ever forms.
///
///     F = lambda I + (1/s) sum over i of g_i g_i^T,    g_1, ..., g_m gradients of d entries
///
/// M-FAC, of E. Frantar, E. Kurtic and D. Alistarh, "M-FAC: Efficient matrix-free approximations of second-order
/// information", NeurIPS 2021: all gradients at once (FisherInverse), or a window of them that slides
/// (SlidingFisherInverse).
#pragma once

#include "nearlinear/fisher/fisher_inverse.hpp"
#include "nearlinear/fisher/gradient_storage.hpp"
#include "nearlinear/fisher/recurrences.hpp"
#include "nearlinear/fisher/sliding_fisher_inverse.hpp"

/// The sampling room: how much rows of a matrix matter, and which few of them stand for all.
///
/// | header                          | what it holds                                                        |
/// |---------------------------------|----------------------------------------------------------------------|
/// | sampling/scores.hpp             | leverage scores and Lewis weights                                    |
/// | sampling/sensitivities.hpp      | sensitivities, their sum and the largest of them                     |
/// | sampling/sample.hpp             | samples of rows by these scores, and what they distort               |
/// | sampling/regression.hpp         | regression in l_p norms, of all rows or of a sample                  |
/// | sampling/streaming_coreset.hpp  | samples of rows that come one block after the other                  |
#pragma once

#include "nearlinear/sampling/regression.hpp"
#include "nearlinear/sampling/sample.hpp"
#include "nearlinear/sampling/scores.hpp"
#include "nearlinear/sampling/sensitivities.hpp"
#include "nearlinear/sampling/streaming_coreset.hpp"

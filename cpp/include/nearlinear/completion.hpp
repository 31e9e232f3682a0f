/// The completion room: a matrix of low rank from some of its entries.
///
/// | header                  | what it holds                                                          |
/// |-------------------------|------------------------------------------------------------------------|
/// | completion/model.hpp    | matrices of low rank with biases, and what is predicted from them       |
/// | completion/complete.hpp | fitting one to the entries that were observed                          |
#pragma once

#include "nearlinear/completion/complete.hpp"
#include "nearlinear/completion/model.hpp"

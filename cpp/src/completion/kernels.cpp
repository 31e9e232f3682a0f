// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "completion/kernel_functions.hpp"

NEARLINEAR_DEFINE_KERNELS(completion) = {.normal_equations = nearlinear::completion::normal_equations,
                                         .conjugate_gradients = nearlinear::completion::conjugate_gradients,
                                         .sketched = nearlinear::completion::sketched,
                                         .residuals = nearlinear::completion::residuals,
                                         .coupling = nearlinear::completion::coupling,
                                         .weighted_sums = nearlinear::completion::weighted_sums,
                                         .apply_each = nearlinear::completion::apply_each};

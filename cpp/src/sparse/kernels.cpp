// Compiled once per instruction set; see core/dispatch.hpp for the rules.
#include "sparse/kernels.hpp"

#include "core/collect_above.hpp"
#include "sparse/plan_kernels.hpp"
#include "sparse/row_kernels.hpp"
#include "sparse/spmm_kernels.hpp"

namespace {

using namespace nearlinear::sparse;

template <class T, class I>
constexpr ProductKernels<T, I> product_kernels = {.multiply_dense = multiply_dense<T, I>,
                                                  .multiply_hash = multiply_hash<T, I>,
                                                  .add_row = add_row<T, I>,
                                                  .collect_above = nearlinear::collect_above<T>};

}  // namespace

NEARLINEAR_DEFINE_KERNELS(sparse) = {
    .product = {.f32_i32 = product_kernels<float, std::int32_t>,
                .f32_i64 = product_kernels<float, std::int64_t>,
                .f64_i32 = product_kernels<double, std::int32_t>,
                .f64_i64 = product_kernels<double, std::int64_t>},
    .spmm = &spmm_kernels,
    .plan = &plan_kernels,
};

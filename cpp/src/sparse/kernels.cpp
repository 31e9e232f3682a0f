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

template <class I>
ColumnFaults count_column_faults_of(const I* columns, nearlinear::Index count, nearlinear::Index cols) noexcept {
  using Unsigned = std::make_unsigned_t<I>;
  const auto end = static_cast<Unsigned>(cols);
  I outside = 0, steps_back = 0;  // as wide as the columns, so that the compiler can use vectors
  for (nearlinear::Index k = 0; k < count; ++k) {
    outside += static_cast<Unsigned>(columns[k]) >= end ? 1 : 0;
    steps_back += columns[k] >= columns[k + 1] ? 1 : 0;
  }
  return {outside, steps_back};
}

}  // namespace

NEARLINEAR_DEFINE_KERNELS(sparse) = {
    .count_column_faults_i32 = count_column_faults_of<std::int32_t>,
    .count_column_faults_i64 = count_column_faults_of<std::int64_t>,
    .product = {.f32_i32 = product_kernels<float, std::int32_t>,
                .f32_i64 = product_kernels<float, std::int64_t>,
                .f64_i32 = product_kernels<double, std::int32_t>,
                .f64_i64 = product_kernels<double, std::int64_t>},
    .spmm = &spmm_kernels,
    .plan = &plan_kernels,
};

// Compiled for the baseline alone; see core/dispatch.hpp for the rules.
#include "sparse/plain_kernels.hpp"

#include "sparse/row_kernels.hpp"

namespace {

using namespace nearlinear::sparse;

template <class T, class I>
constexpr PlainKernels<T, I> kernels_for = {.multiply_dense = multiply_dense<T, I>,
                                            .multiply_hash = multiply_hash<T, I>};

}  // namespace

const PlainKernelsOfTypes nearlinear::sparse::nearlinear_plain_base = {
    .bool_i32 = kernels_for<bool, std::int32_t>,
    .bool_i64 = kernels_for<bool, std::int64_t>,
    .u64_i32 = kernels_for<std::uint64_t, std::int32_t>,
    .u64_i64 = kernels_for<std::uint64_t, std::int64_t>,
    .c64_i32 = kernels_for<std::complex<float>, std::int32_t>,
    .c64_i64 = kernels_for<std::complex<float>, std::int64_t>,
    .c128_i32 = kernels_for<std::complex<double>, std::int32_t>,
    .c128_i64 = kernels_for<std::complex<double>, std::int64_t>,
};

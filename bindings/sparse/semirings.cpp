// Products over semirings, with masks.
#include <nanobind/stl/complex.h>
#include <nanobind/stl/optional.h>

#include <complex>
#include <optional>
#include <variant>

#include "sparse/csr.hpp"

namespace {

template <class T, class I>
void bind_semiring_matmul(nb::module_& module) {
  module.def(
      "semiring_matmul",
      [](const CsrTuple<T, I>& A, const CsrTuple<T, I>& B, nearlinear::SemiringName semiring, int bits, bool exchanged,
         const std::optional<CsrTuple<bool, I>>& mask, bool mask_complement, bool mask_values,
         const std::optional<CsrTuple<T, I>>& accum, nearlinear::Accumulator accumulator, bool prune_zeros,
         double threshold, nearlinear::Index top_k, nearlinear::Index max_bytes, bool assume_valid, int n_threads,
         const nb::object& callback) {
        nearlinear::SemiringOptions<T, I> options{
            .matmul = {accumulator, prune_zeros, threshold, top_k, max_bytes, assume_valid}};
        if (mask) options.mask = nearlinear::MatmulMask<I>{csr_view<bool, I>(*mask), mask_complement, mask_values};
        if (accum) options.accum = csr_view<T, I>(*accum);
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        auto C = without_gil([&] {
          return nearlinear::matmul_any_size(nearlinear::NamedSemiring{semiring, bits, exchanged}, csr_view<T, I>(A),
                                             csr_view<T, I>(B), options, run);
        });
        return std::visit([](auto& matrix) { return csr_parts(std::move(matrix)); }, C);
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "semiring"_a, "bits"_a = 64, "exchanged"_a = false,
      "mask"_a.noconvert() = nb::none(), "mask_complement"_a = false, "mask_values"_a = false,
      "accum"_a.noconvert() = nb::none(), "accumulator"_a = nearlinear::Accumulator::automatic, "prune_zeros"_a = false,
      "threshold"_a = 0.0, "top_k"_a = 0, "max_bytes"_a = 0, "assume_valid"_a = false, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

template <class T>
void bind_type(nb::module_& module) {
  bind_semiring_matmul<T, std::int32_t>(module);
  bind_semiring_matmul<T, std::int64_t>(module);
  if constexpr (!std::is_floating_point_v<T>) {  // the others have theirs with the ordinary product
    bind_require_valid_csr<T, std::int32_t>(module);
    bind_require_valid_csr<T, std::int64_t>(module);
  }
}

}  // namespace

void bind_sparse_semirings(nb::module_& module) {
  using nearlinear::SemiringName;
  nb::enum_<SemiringName>(module, "SemiringName")
      .value("plus_times", SemiringName::plus_times)
      .value("min_plus", SemiringName::min_plus)
      .value("max_plus", SemiringName::max_plus)
      .value("max_times", SemiringName::max_times)
      .value("or_and", SemiringName::or_and)
      .value("plus_pair", SemiringName::plus_pair)
      .value("min_first", SemiringName::min_first);
  bind_type<bool>(module);
  bind_type<std::int64_t>(module);
  bind_type<std::uint64_t>(module);
  bind_type<float>(module);
  bind_type<double>(module);
  bind_type<std::complex<float>>(module);
  bind_type<std::complex<double>>(module);
}

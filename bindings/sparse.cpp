#include "nearlinear/sparse.hpp"

#include <tuple>
#include <variant>

#include "sparse/csr.hpp"

void bind_sparse_semirings(nb::module_& module);
void bind_sparse_plan(nb::module_& module);
void bind_sparse_products(nb::module_& module);

namespace {

/// With 32-bit indices, the product's own are 64 bits wide if they must be.
template <class T, class I>
auto product(const nearlinear::CsrView<T, I>& A, const nearlinear::CsrView<T, I>& B,
             const nearlinear::MatmulOptions& options, const nearlinear::RunOptions& run) {
  if constexpr (std::is_same_v<I, std::int32_t>)
    return nearlinear::matmul_any_size(A, B, options, run);
  else
    return std::variant<nearlinear::CsrMatrix<T, I>>(nearlinear::matmul(A, B, options, run));
}

template <class T, class I>
void bind_matmul(nb::module_& module) {
  module.def(
      "matmul",
      [](const CsrTuple<T, I>& A, const CsrTuple<T, I>& B, nearlinear::Accumulator accumulator, bool prune_zeros,
         double threshold, nearlinear::Index top_k, nearlinear::Index max_bytes, bool assume_valid, int n_threads,
         const nb::object& callback) {
        const nearlinear::MatmulOptions options{accumulator, prune_zeros, threshold, top_k, max_bytes, assume_valid};
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        auto C = without_gil([&] { return product(csr_view<T, I>(A), csr_view<T, I>(B), options, run); });
        return std::visit([](auto& matrix) { return csr_parts(std::move(matrix)); }, C);
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "accumulator"_a = nearlinear::Accumulator::automatic,
      "prune_zeros"_a = false, "threshold"_a = 0.0, "top_k"_a = 0, "max_bytes"_a = 0, "assume_valid"_a = false,
      "n_threads"_a = 0, "callback"_a = nb::none());
}

/// One factor and the result are dense.
template <class T, class I>
void bind_spmm(nb::module_& module) {
  module.def(
      "matmul",
      [](const CsrTuple<T, I>& A, const MatrixInput<T>& B, const MatrixArray<T>& C, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::matmul(csr_view<T, I>(A), view(B), view(C), run); });
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "C"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "matmul",
      [](const MatrixInput<T>& A, const CsrTuple<T, I>& B, const MatrixArray<T>& C, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::matmul(view(A), csr_view<T, I>(B), view(C), run); });
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "C"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

/// What becomes of a product, without the product.
template <class T, class I>
void bind_counts(nb::module_& module) {
  module.def(
      "estimate_matmul",
      [](const CsrTuple<T, I>& A, const CsrTuple<T, I>& B, int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        const auto found =
            without_gil([&] { return nearlinear::estimate_matmul(csr_view<T, I>(A), csr_view<T, I>(B), run); });
        return std::tuple(found.products, found.nnz, found.bytes);
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "n_threads"_a = 0);
  module.def(
      "matmul_nnz",
      [](const CsrTuple<T, I>& A, const CsrTuple<T, I>& B, bool prune_zeros, double threshold, nearlinear::Index top_k,
         int n_threads, const nb::object& callback) {
        const nearlinear::MatmulOptions options{.prune_zeros = prune_zeros, .threshold = threshold, .top_k = top_k};
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::matmul_nnz(csr_view<T, I>(A), csr_view<T, I>(B), options, run); });
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "prune_zeros"_a = false, "threshold"_a = 0.0, "top_k"_a = 0,
      "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T, class I>
void bind_types(nb::module_& module) {
  bind_matmul<T, I>(module);
  bind_spmm<T, I>(module);
  bind_counts<T, I>(module);
  bind_require_valid_csr<T, I>(module);
}

}  // namespace

void bind_sparse(nb::module_& module) {
  nb::enum_<nearlinear::Accumulator>(module, "Accumulator")
      .value("auto", nearlinear::Accumulator::automatic)
      .value("dense", nearlinear::Accumulator::dense)
      .value("hash", nearlinear::Accumulator::hash)
      .value("sort", nearlinear::Accumulator::sort);
  bind_types<float, std::int32_t>(module);
  bind_types<float, std::int64_t>(module);
  bind_types<double, std::int32_t>(module);
  bind_types<double, std::int64_t>(module);
  bind_sparse_semirings(module);
  bind_sparse_plan(module);
  bind_sparse_products(module);
}

#include "nearlinear/linalg/products.hpp"

#include "arrays.hpp"

namespace {

using nearlinear::Transpose;

Transpose transpose(bool is) { return is ? Transpose::yes : Transpose::no; }

template <class T>
void bind_gram(nb::module_& module) {
  const auto define = [&module]<class Sum>(Sum) {
    module.def(
        "gram",
        [](const MatrixInput<T>& A, const MatrixArray<Sum>& C, int n_threads, const nb::object& callback) {
          const nearlinear::RunOptions run = run_options(n_threads, callback);
          without_gil([&] { nearlinear::gram<T, Sum>(view(A), view(C), run); });
        },
        "A"_a.noconvert(), "C"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  };
  define(double{});
  if constexpr (std::is_same_v<T, float>) define(float{});
}

template <class T>
void bind_products(nb::module_& module) {
  module.def(
      "gemm",
      [](const MatrixInput<T>& A, const MatrixInput<T>& B, const MatrixArray<T>& C, bool transpose_A, bool transpose_B,
         int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] {
          nearlinear::gemm<T>(T{1}, view(A), transpose(transpose_A), view(B), transpose(transpose_B), T{0}, view(C),
                              run);
        });
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "C"_a.noconvert(), "transpose_A"_a = false, "transpose_B"_a = false,
      "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "gemv_pair",
      [](const MatrixInput<T>& A, const VectorArray<T>& x, const VectorOutput<T>& y, const VectorArray<T>& w,
         const VectorOutput<T>& z, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::gemv_pair<T>(view(A), view(x), view(y), view(w), view(z), run); });
      },
      "A"_a.noconvert(), "x"_a.noconvert(), "y"_a.noconvert(), "w"_a.noconvert(), "z"_a.noconvert(), "n_threads"_a = 0,
      "callback"_a = nb::none());
  module.def(
      "normal_product",
      [](const MatrixInput<T>& A, const MatrixInput<T>& Z, const MatrixArray<T>& Y, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::normal_product<T>(view(A), view(Z), view(Y), run); });
      },
      "A"_a.noconvert(), "Z"_a.noconvert(), "Y"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_products(nb::module_& module) {
  bind_gram<float>(module);
  bind_gram<double>(module);
  bind_products<float>(module);
  bind_products<double>(module);
}

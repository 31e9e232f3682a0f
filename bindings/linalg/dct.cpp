#include "nearlinear/linalg/dct.hpp"

#include "arrays.hpp"

namespace {

template <class T>
void bind_dct(nb::module_& module) {
  module.def(
      "dct",
      [](const MatrixArray<const T>& x, const MatrixArray<T>& y, bool orthonormal, bool inverse, int n_threads,
         const nb::object& callback) {
        const nearlinear::DctOptions options{
            .orthonormal = orthonormal, .inverse = inverse, .run = run_options(n_threads, callback)};
        without_gil([&] { nearlinear::dct<T>(view(x), view(y), options); });
      },
      "x"_a.noconvert(), "y"_a.noconvert(), "orthonormal"_a = false, "inverse"_a = false, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_dct(nb::module_& module) {
  bind_dct<float>(module);
  bind_dct<double>(module);
}

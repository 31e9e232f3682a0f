#include "arrays.hpp"
#include "nearlinear/linalg/hadamard.hpp"

namespace {

template <class T>
void bind_hadamard_transform(nb::module_& module) {
  module.def(
      "hadamard_transform_inplace",
      [](const MatrixArray<T>& matrix, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::hadamard_transform(view(matrix), run); });
      },
      "matrix"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_transforms(nb::module_& module) {
  bind_hadamard_transform<float>(module);
  bind_hadamard_transform<double>(module);
}

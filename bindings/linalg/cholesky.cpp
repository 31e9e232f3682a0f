#include "nearlinear/linalg/cholesky.hpp"

#include "arrays.hpp"

namespace {

using nearlinear::Transpose;
using nearlinear::Triangle;

template <class T>
void bind_factorisation(nb::module_& module) {
  module.def(
      "cholesky_inplace",
      [](const MatrixArray<T>& A, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::cholesky(view(A), run); });
      },
      "A"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "cholesky_solve_inplace",
      [](const MatrixInput<T>& L, const MatrixArray<T>& B, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::cholesky_solve<T>(view(L), view(B), run); });
      },
      "L"_a.noconvert(), "B"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "cholesky_inverse_inplace",
      [](const MatrixArray<T>& L, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::cholesky_inverse(view(L), run); });
      },
      "L"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T>
void bind_updates(nb::module_& module) {
  module.def(
      "cholesky_update_inplace",
      [](const MatrixArray<T>& L, const VectorOutput<T>& x, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::cholesky_update<T>(view(L), view(x), run); });
      },
      "L"_a.noconvert(), "x"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "cholesky_slide_inplace",
      [](const MatrixArray<T>& L, const VectorArray<T>& last_row, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::cholesky_slide<T>(view(L), view(last_row), run); });
      },
      "L"_a.noconvert(), "last_row"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T>
void bind_triangular_solve(nb::module_& module) {
  module.def(
      "triangular_solve_inplace",
      [](const MatrixInput<T>& L, const MatrixArray<T>& B, bool lower, bool transpose, bool from_right, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const auto solve = from_right ? nearlinear::triangular_solve_right<T> : nearlinear::triangular_solve<T>;
        without_gil([&] {
          solve(lower ? Triangle::lower : Triangle::upper, transpose ? Transpose::yes : Transpose::no, view(L), view(B),
                run);
        });
      },
      "L"_a.noconvert(), "B"_a.noconvert(), "lower"_a = true, "transpose"_a = false, "from_right"_a = false,
      "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_cholesky(nb::module_& module) {
  bind_factorisation<float>(module);
  bind_factorisation<double>(module);
  bind_updates<float>(module);
  bind_updates<double>(module);
  bind_triangular_solve<float>(module);
  bind_triangular_solve<double>(module);
}

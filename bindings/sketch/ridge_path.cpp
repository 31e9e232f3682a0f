#include "nearlinear/sketch/ridge_path.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <optional>
#include <utility>

#include "sparse/csr.hpp"

void bind_sketch_ridge_path(nb::module_& module);

namespace {

Tuple as_tuple(nearlinear::RidgePath&& path) {
  return nb::make_tuple(as_numpy(std::move(path.x)), as_numpy(std::move(path.residual_norm)),
                        as_numpy(std::move(path.loo_error)), as_numpy(std::move(path.degrees_of_freedom)));
}

template <class T>
std::span<const T> weights_of(const std::optional<VectorArray<T>>& weights) {
  return weights ? view(*weights) : std::span<const T>();
}

nearlinear::Transpose op(bool is_transposed) {
  return is_transposed ? nearlinear::Transpose::yes : nearlinear::Transpose::no;
}

template <class T>
void bind_dense(nb::module_& module) {
  module.def(
      "ridge_path_dense",
      [](const MatrixInput<T>& A, bool is_transposed, const MatrixInput<T>& B,
         const std::optional<VectorArray<T>>& root_weights, const VectorArray<double>& ridges, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return as_tuple(without_gil([&] {
          return nearlinear::ridge_path<T>(view(A), op(is_transposed), view(B), weights_of<T>(root_weights),
                                           view(ridges), run);
        }));
      },
      "A"_a.noconvert(), "is_transposed"_a, "B"_a.noconvert(), "root_weights"_a.none(), "ridges"_a.noconvert(),
      "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "leave_one_out_dense",
      [](const MatrixInput<T>& A, bool is_transposed, const MatrixInput<T>& B,
         const std::optional<VectorArray<T>>& root_weights, double ridge, const MatrixArray<double>& residuals,
         int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] {
          nearlinear::leave_one_out<T>(view(A), op(is_transposed), view(B), weights_of<T>(root_weights), ridge,
                                       view(residuals), run);
        });
      },
      "A"_a.noconvert(), "is_transposed"_a, "B"_a.noconvert(), "root_weights"_a.none(), "ridge"_a,
      "residuals"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T, class I>
void bind_sparse(nb::module_& module) {
  module.def(
      "ridge_path_sparse",
      [](const CsrTuple<T, I>& A, const MatrixInput<T>& B, const VectorArray<double>& ridges, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return as_tuple(
            without_gil([&] { return nearlinear::ridge_path<T, I>(csr_view<T, I>(A), view(B), view(ridges), run); }));
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "ridges"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "leave_one_out_sparse",
      [](const CsrTuple<T, I>& A, const MatrixInput<T>& B, double ridge, const MatrixArray<double>& residuals,
         int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::leave_one_out<T, I>(csr_view<T, I>(A), view(B), ridge, view(residuals), run); });
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "ridge"_a, "residuals"_a.noconvert(), "n_threads"_a = 0,
      "callback"_a = nb::none());
}

}  // namespace

void bind_sketch_ridge_path(nb::module_& module) {
  bind_dense<float>(module);
  bind_dense<double>(module);
  bind_sparse<float, std::int32_t>(module);
  bind_sparse<float, std::int64_t>(module);
  bind_sparse<double, std::int32_t>(module);
  bind_sparse<double, std::int64_t>(module);
}

#include "arrays.hpp"
#include "nearlinear/linalg/randomized_svd.hpp"

namespace {

using nearlinear::Index;

/// U, s, V, error, |A|_F, passes, settled, converged
template <class T>
Tuple as_tuple(nearlinear::RandomizedSvd<T>&& found) {
  return nb::make_tuple(as_numpy(std::move(found.left)), as_numpy(std::move(found.singular_values)),
                        as_numpy(std::move(found.right)), found.error, found.frobenius_norm, found.passes,
                        found.settled, found.converged);
}

/// Calls multiply(X, Y), which writes the product into Y.
template <class T>
auto product(const nb::object& multiply) {
  return [&multiply](nearlinear::MatrixView<const T> X, nearlinear::MatrixView<T> Y) {
    const nb::gil_scoped_acquire gil;
    const auto array = [](auto matrix) {
      using Entry = std::remove_pointer_t<decltype(matrix.data())>;
      const std::size_t shape[] = {static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols())};
      const std::int64_t strides[] = {matrix.row_stride(), 1};
      // Memory of the caller, which is there while `multiply` runs: the owner is nobody in particular.
      return nb::cast(nb::ndarray<nb::numpy, Entry, nb::ndim<2>>(matrix.data(), 2, shape, nb::none(), strides),
                      nb::rv_policy::reference);
    };
    multiply(array(X), array(Y));
  };
}

nearlinear::RandomizedSvdOptions options(Index oversampling, Index power_iterations, double tol, std::uint64_t seed,
                                         double frobenius_norm) {
  return {.oversampling = oversampling,
          .power_iterations = power_iterations,
          .tol = tol,
          .seed = seed,
          .frobenius_norm = frobenius_norm};
}

template <class T>
void bind_randomized_svd(nb::module_& module, const char* of_operator) {
  module.def(
      "randomized_svd",
      [](const MatrixArray<const T>& A, Index rank, Index oversampling, Index power_iterations, double tol,
         std::uint64_t seed, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return as_tuple(without_gil([&] {
          return nearlinear::randomized_svd<T>(
              view(A), rank, options(oversampling, power_iterations, tol, seed, nearlinear::automatic), run);
        }));
      },
      "A"_a.noconvert(), "rank"_a, "oversampling"_a, "power_iterations"_a, "tol"_a, "seed"_a, "n_threads"_a = 0,
      "callback"_a = nb::none());
  module.def(
      of_operator,
      [](Index rows, Index cols, const nb::object& multiply, const nb::object& multiply_transposed, Index rank,
         Index oversampling, Index power_iterations, double tol, std::uint64_t seed, double frobenius_norm,
         int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const nearlinear::LinearOperator<T> A{rows, cols, product<T>(multiply), product<T>(multiply_transposed)};
        return as_tuple(without_gil([&] {
          return nearlinear::randomized_svd<T>(A, rank,
                                               options(oversampling, power_iterations, tol, seed, frobenius_norm), run);
        }));
      },
      "rows"_a, "cols"_a, "multiply"_a, "multiply_transposed"_a, "rank"_a, "oversampling"_a, "power_iterations"_a,
      "tol"_a, "seed"_a, "frobenius_norm"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_spectral(nb::module_& module) {
  bind_randomized_svd<float>(module, "randomized_svd_of_operator_f32");
  bind_randomized_svd<double>(module, "randomized_svd_of_operator_f64");
}

#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "nearlinear/linalg/batched.hpp"
#include "nearlinear/linalg/iterative.hpp"

namespace {

using nearlinear::Index;
using nearlinear::MatrixView;

template <class T>
using BatchArray = nb::ndarray<T, nb::numpy, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

template <class T>
nearlinear::BatchView<T> batch_view(const BatchArray<T>& array) {
  return {array.data(), static_cast<Index>(array.shape(0)), static_cast<Index>(array.shape(1)),
          static_cast<Index>(array.shape(2))};
}

using InfoArray = nb::ndarray<std::int64_t, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// A copy that Python may keep.
template <class T>
nb::object as_numpy_copy(MatrixView<const T> matrix) {
  nearlinear::Array<T> copy(matrix.rows() * matrix.cols());
  for (Index i = 0; i < matrix.rows(); ++i) std::copy_n(&matrix(i, 0), matrix.cols(), copy.data() + i * matrix.cols());
  auto owned = std::make_unique<nearlinear::Array<T>>(std::move(copy));
  T* const data = owned->data();
  nb::capsule owner(owned.get(), [](void* pointer) noexcept { delete static_cast<nearlinear::Array<T>*>(pointer); });
  owned.release();  // NOLINT(bugprone-unused-return-value): the capsule has it
  const auto rows = static_cast<std::size_t>(matrix.rows()), cols = static_cast<std::size_t>(matrix.cols());
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<2>>(data, {rows, cols}, owner));
}

/// Y <- function(X), of a Python function that returns a new matrix of the right shape and type (_operators.py).
template <class T>
void call_product(const nb::object& function, MatrixView<const T> X, MatrixView<T> Y) {
  const nb::gil_scoped_acquire gil;
  const auto product = nb::cast<MatrixArray<const T>>(function(as_numpy_copy(X)));
  const auto rows = view(product);
  for (Index i = 0; i < Y.rows(); ++i) std::copy_n(&rows(i, 0), Y.cols(), &Y(i, 0));
}

/// What _operators.py makes of a matrix: its shape and either the matrix or its products. Holds the references for as
/// long as the operator is used, so that no copy of them is made or dropped without the GIL.
class Operator {
 public:
  explicit Operator(const Tuple& parts)
      : rows_(nb::cast<Index>(parts[0])),
        cols_(nb::cast<Index>(parts[1])),
        matrix_(parts[2]),
        apply_(parts[3]),
        apply_transposed_(parts[4]) {}

  template <class T>
  [[nodiscard]] nearlinear::LinearOperator<T> get(const nearlinear::RunOptions& run) const {
    if (!matrix_.is_none()) return nearlinear::as_operator<T>(view(nb::cast<MatrixArray<const T>>(matrix_)), run);
    return {rows_, cols_, product<T>(apply_), product<T>(apply_transposed_)};
  }

 private:
  template <class T>
  static std::function<void(MatrixView<const T>, MatrixView<T>)> product(const nb::object& function) {
    if (function.is_none()) return {};
    return [&function](MatrixView<const T> X, MatrixView<T> Y) { call_product<T>(function, X, Y); };
  }

  Index rows_;
  Index cols_;
  nb::object matrix_;
  nb::object apply_;
  nb::object apply_transposed_;
};

/// Of products within an iteration: on as many threads, and open to Ctrl-C.
nearlinear::RunOptions product_options(int n_threads) {
  return {.n_threads = n_threads, .keep_going = [](double) {
            const nb::gil_scoped_acquire gil;
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
            return true;
          }};
}

template <class T>
void bind_solve_spd_batch(nb::module_& module) {
  module.def(
      "cholesky_solve_batch",
      [](const BatchArray<const T>& A, const BatchArray<T>& X, const InfoArray& info, double ridge, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] {
          nearlinear::Array<Index> status(static_cast<Index>(info.size()));
          const Index failures = nearlinear::cholesky_solve_batch<T>(batch_view(A), batch_view(X), batch_view(X),
                                                                     status.span(), ridge, run);
          std::copy(status.begin(), status.end(), info.data());
          return failures;
        });
      },
      "A"_a.noconvert(), "X"_a.noconvert(), "info"_a.noconvert(), "ridge"_a, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

template <class T>
void bind_conjugate_gradient(nb::module_& module) {
  module.def(
      "conjugate_gradient",
      [](const Tuple& A, const MatrixArray<const T>& B, const MatrixArray<T>& X, const std::optional<Tuple>& M,
         std::optional<double> tol, std::optional<Index> maxiter, int n_threads, const nb::object& callback,
         const nb::object& each_iteration) {
        const nearlinear::RunOptions run = run_options(n_threads, callback), inner = product_options(n_threads);
        const Operator matrix(A);
        const std::optional<Operator> preconditioner = M ? std::optional<Operator>(*M) : std::nullopt;
        nearlinear::ConjugateGradientOptions options{.tol = tol, .maxiter = maxiter};
        if (!each_iteration.is_none())
          options.callback = [&each_iteration](const nearlinear::ConjugateGradientProgress& progress) {
            const nb::gil_scoped_acquire gil;
            nb::list norms;
            for (const double norm : progress.residual_norms) norms.append(norm);
            return !nb::cast<bool>(nb::bool_(each_iteration(progress.iteration, norms)));
          };
        const auto op = matrix.get<T>(inner);
        const auto op_M = preconditioner ? preconditioner->get<T>(inner) : nearlinear::LinearOperator<T>{};
        std::vector<nearlinear::ConjugateGradientResult> results(B.shape(1));
        without_gil(
            [&] { nearlinear::conjugate_gradient_batch<T>(op, view(B), view(X), results, op_M, options, run); });
        List columns;
        for (const auto& result : results)
          columns.append(nb::make_tuple(static_cast<int>(result.status), result.iterations, result.residual_norm));
        return columns;
      },
      "A"_a, "B"_a.noconvert(), "X"_a.noconvert(), "M"_a.none(), "tol"_a.none(), "maxiter"_a.none(), "n_threads"_a = 0,
      "callback"_a = nb::none(), "each_iteration"_a = nb::none());
}

Tuple as_tuple(const nearlinear::LsqrResult& result) {
  return nb::make_tuple(static_cast<int>(result.status), result.iterations, result.residual_norm,
                        result.normal_residual_norm, result.norm, result.condition, result.solution_norm);
}

template <class T>
void bind_lsqr(nb::module_& module) {
  module.def(
      "lsqr",
      [](const Tuple& A, const VectorArray<T>& b, const MatrixArray<T>& x, const std::optional<Tuple>& N, double damp,
         std::optional<double> atol, std::optional<double> btol, std::optional<double> conlim,
         std::optional<Index> maxiter, int n_threads, const nb::object& callback, const nb::object& each_iteration) {
        const nearlinear::RunOptions run = run_options(n_threads, callback), inner = product_options(n_threads);
        const Operator matrix(A);
        const std::optional<Operator> preconditioner = N ? std::optional<Operator>(*N) : std::nullopt;
        nearlinear::LsqrOptions options{.damp = damp, .atol = atol, .btol = btol, .conlim = conlim, .maxiter = maxiter};
        if (!each_iteration.is_none())
          options.callback = [&each_iteration](const nearlinear::LsqrResult& progress) {
            const nb::gil_scoped_acquire gil;
            return !nb::cast<bool>(nb::bool_(each_iteration(as_tuple(progress))));
          };
        const auto op = matrix.get<T>(inner);
        const auto op_N = preconditioner ? preconditioner->get<T>(inner) : nearlinear::LinearOperator<T>{};
        const std::span<T> solution(x.data(), x.size());
        return as_tuple(without_gil([&] { return nearlinear::lsqr<T>(op, view(b), solution, options, op_N, run); }));
      },
      "A"_a, "b"_a.noconvert(), "x"_a.noconvert(), "N"_a.none(), "damp"_a, "atol"_a.none(), "btol"_a.none(),
      "conlim"_a.none(), "maxiter"_a.none(), "n_threads"_a = 0, "callback"_a = nb::none(),
      "each_iteration"_a = nb::none());
}

template <class T>
void bind_solvers(nb::module_& module) {
  bind_solve_spd_batch<T>(module);
  bind_conjugate_gradient<T>(module);
  bind_lsqr<T>(module);
}

}  // namespace

void bind_linalg_solvers(nb::module_& module) {
  bind_solvers<float>(module);
  bind_solvers<double>(module);
}

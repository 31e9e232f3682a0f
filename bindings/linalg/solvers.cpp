#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "linalg/operator.hpp"
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
        const nearlinear::RunOptions run = run_options(n_threads, callback), inner = run_options(n_threads);
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
        const nearlinear::RunOptions run = run_options(n_threads, callback), inner = run_options(n_threads);
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

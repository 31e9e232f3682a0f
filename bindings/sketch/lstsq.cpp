#include "nearlinear/sketch/lstsq.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <optional>

#include "linalg/operator.hpp"
#include "sketch/solution.hpp"
#include "sparse/csr.hpp"

void bind_sketch_lstsq(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::LstsqMethod;
using nearlinear::LstsqOptions;

template <class T>
Tuple as_tuple(nearlinear::LstsqResult<T>&& result) {
  return nb::make_tuple(result.method, static_cast<int>(result.status), result.rank, result.condition,
                        result.backward_error, result.passes, result.iterations,
                        as_numpy(std::move(result.residual_norm)), as_numpy(std::move(result.factor)),
                        solution_tuple(std::move(result.sketch)));
}

/// Rows that a Python function hands out as pairs of arrays, of which it keeps the last: next() answers None behind the
/// last, rewind() begins anew or is None.
template <class T>
class PythonBlocks {
 public:
  PythonBlocks(const nb::object& next, const nb::object& rewind) : next_(next), rewind_(rewind) {}

  nearlinear::RowBlocks<T> blocks(Index cols, Index rhs) {
    nearlinear::RowBlocks<T> result{cols, rhs, [this](auto& A, auto& B) { return read(A, B); }, {}};
    if (!rewind_.is_none())
      result.rewind = [this] {
        const nb::gil_scoped_acquire gil;
        rewind_();
      };
    return result;
  }

 private:
  bool read(nearlinear::MatrixView<const T>& A, nearlinear::MatrixView<const T>& B) {
    const nb::gil_scoped_acquire gil;
    const nb::object pair = next_();
    if (pair.is_none()) {
      a_.reset();
      b_.reset();
      return false;
    }
    a_ = nb::cast<MatrixInput<T>>(pair[0]);
    b_ = nb::cast<MatrixInput<T>>(pair[1]);
    A = view(*a_);
    B = view(*b_);
    return true;
  }

  const nb::object& next_;
  const nb::object& rewind_;
  std::optional<MatrixInput<T>> a_, b_;
};

template <class T>
void bind_dense(nb::module_& module) {
  module.def(
      "lstsq_dense",
      [](const MatrixInput<T>& A, bool is_transposed, const MatrixInput<T>& B, const MatrixArray<T>& X,
         const std::optional<VectorArray<T>>& root_weights, const LstsqOptions& options, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const std::span<const T> weights = root_weights ? view(*root_weights) : std::span<const T>();
        const auto op = is_transposed ? nearlinear::Transpose::yes : nearlinear::Transpose::no;
        return as_tuple(without_gil(
            [&] { return nearlinear::weighted_lstsq<T>(view(A), op, view(B), view(X), weights, options, run); }));
      },
      "A"_a.noconvert(), "is_transposed"_a, "B"_a.noconvert(), "X"_a.noconvert(), "root_weights"_a.none(), "options"_a,
      "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "lstsq_operator",
      [](const Tuple& A, const MatrixInput<T>& B, const MatrixArray<T>& X, const LstsqOptions& options, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback), inner = run_options(n_threads);
        const Operator matrix(A);
        const auto op = matrix.get<T>(inner);
        return as_tuple(without_gil([&] { return nearlinear::lstsq<T>(op, view(B), view(X), options, run); }));
      },
      "A"_a, "B"_a.noconvert(), "X"_a.noconvert(), "options"_a, "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "lstsq_blocks",
      [](const nb::object& next, const nb::object& rewind, const MatrixArray<T>& X, const LstsqOptions& options,
         int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        PythonBlocks<T> source(next, rewind);
        const auto blocks = source.blocks(static_cast<Index>(X.shape(0)), static_cast<Index>(X.shape(1)));
        return as_tuple(without_gil([&] { return nearlinear::lstsq<T>(blocks, view(X), options, run); }));
      },
      "next"_a, "rewind"_a.none(), "X"_a.noconvert(), "options"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T, class I>
void bind_sparse(nb::module_& module) {
  module.def(
      "lstsq_sparse",
      [](const CsrTuple<T, I>& A, const MatrixInput<T>& B, const MatrixArray<T>& X, const LstsqOptions& options,
         int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return as_tuple(
            without_gil([&] { return nearlinear::lstsq<T, I>(csr_view<T, I>(A), view(B), view(X), options, run); }));
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "X"_a.noconvert(), "options"_a, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

}  // namespace

void bind_sketch_lstsq(nb::module_& module) {
  nb::enum_<LstsqMethod>(module, "LstsqMethod")
      .value("auto", LstsqMethod::automatic)
      .value("cholesky", LstsqMethod::cholesky)
      .value("gram", LstsqMethod::gram)
      .value("sketch_cg", LstsqMethod::sketch_cg)
      .value("sketch_solve", LstsqMethod::sketch_solve)
      .value("tsqr", LstsqMethod::tsqr);
  nb::class_<LstsqOptions>(module, "LstsqOptions")
      .def(nb::init<>())
      .def_rw("method", &LstsqOptions::method)
      .def_rw("sketch", &LstsqOptions::sketch, nb::arg().none())
      .def_rw("sketch_rows", &LstsqOptions::sketch_rows)
      .def_rw("delta", &LstsqOptions::delta)
      .def_rw("ridge", &LstsqOptions::ridge)
      .def_rw("rcond", &LstsqOptions::rcond, nb::arg().none())
      .def_rw("tol", &LstsqOptions::tol, nb::arg().none())
      .def_rw("maxiter", &LstsqOptions::maxiter)
      .def_rw("seed", &LstsqOptions::seed)
      .def_rw("has_guess", &LstsqOptions::has_guess);
  bind_dense<float>(module);
  bind_dense<double>(module);
  bind_sparse<float, std::int32_t>(module);
  bind_sparse<float, std::int64_t>(module);
  bind_sparse<double, std::int32_t>(module);
  bind_sparse<double, std::int64_t>(module);
}

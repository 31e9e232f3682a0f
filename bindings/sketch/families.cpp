#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include "nearlinear/sketch/sketch.hpp"
#include "sparse/csr.hpp"

void bind_sketch_families(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::SketchKind;
using nearlinear::SketchSpec;

template <class T>
void bind_dense(nb::module_& module) {
  module.def(
      "apply_sketch",
      [](const SketchSpec& spec, const MatrixInput<T>& A, const MatrixArray<T>& SA, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::apply_sketch<T>(spec, view(A), view(SA), run); });
      },
      "spec"_a, "A"_a.noconvert(), "SA"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "apply_sketch_transposed",
      [](const SketchSpec& spec, const MatrixInput<T>& Y, const MatrixArray<T>& X, int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        without_gil([&] { nearlinear::apply_sketch_transposed<T>(spec, view(Y), view(X), run); });
      },
      "spec"_a, "Y"_a.noconvert(), "X"_a.noconvert(), "n_threads"_a = 0);
}

template <class T, class I>
void bind_sparse(nb::module_& module) {
  module.def(
      "apply_sketch",
      [](const SketchSpec& spec, const CsrTuple<T, I>& A, const MatrixArray<T>& SA, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { nearlinear::apply_sketch<T, I>(spec, csr_view<T, I>(A), view(SA), run); });
      },
      "spec"_a, "A"_a.noconvert(), "SA"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_sketch_families(nb::module_& module) {
  nb::enum_<SketchKind>(module, "SketchKind")
      .value("gaussian", SketchKind::gaussian)
      .value("srht", SketchKind::srht)
      .value("dct", SketchKind::dct)
      .value("sjlt", SketchKind::sjlt)
      .value("block_hadamard", SketchKind::block_hadamard)
      .value("pooled", SketchKind::pooled)
      .value("countsketch", SketchKind::countsketch);
  nb::class_<SketchSpec>(module, "SketchSpec")
      .def_ro("kind", &SketchSpec::kind)
      .def_ro("rows", &SketchSpec::rows)
      .def_ro("seed", &SketchSpec::seed)
      .def_ro("block", &SketchSpec::block)
      .def_ro("length", &SketchSpec::length);
  module.def("sketch_for", &nearlinear::sketch_for, "n"_a, "d"_a, "kind"_a, "rows"_a, "seed"_a);
  bind_dense<float>(module);
  bind_dense<double>(module);
  bind_sparse<float, std::int32_t>(module);
  bind_sparse<float, std::int64_t>(module);
  bind_sparse<double, std::int32_t>(module);
  bind_sparse<double, std::int64_t>(module);
}

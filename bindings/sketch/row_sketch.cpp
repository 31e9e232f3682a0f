#include "nearlinear/sketch/row_sketch.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "sketch/solution.hpp"
#include "sparse/csr.hpp"

void bind_sketch_row_sketch(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::SketchSpec;

template <class T, class I>
void bind_add_sparse_rows(nb::class_<nearlinear::RowSketch<T>>& type) {
  type.def(
      "add_rows",
      [](nearlinear::RowSketch<T>& self, Index first_row, const CsrTuple<T, I>& A, const MatrixInput<T>& B,
         int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        without_gil([&] { self.template add_rows<I>(first_row, csr_view<T, I>(A), view(B), run); });
      },
      "first_row"_a, "A"_a.noconvert(), "B"_a.noconvert(), "n_threads"_a = 0);
}

template <class T>
void bind_row_sketch_of(nb::module_& module, const char* name) {
  using Sketch = nearlinear::RowSketch<T>;
  nb::class_<Sketch> type(module, name);
  type.def(nb::init<Index, Index, const SketchSpec&>(), "cols"_a, "rhs"_a, "spec"_a)
      .def(
          "add_rows",
          [](Sketch& self, Index first_row, const MatrixInput<T>& A, const MatrixInput<T>& B, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.add_rows(first_row, view(A), view(B), run); });
          },
          "first_row"_a, "A"_a.noconvert(), "B"_a.noconvert(), "n_threads"_a = 0)
      .def("merge", &Sketch::merge, "other"_a)
      .def_prop_ro("cols", &Sketch::cols)
      .def_prop_ro("rhs", &Sketch::rhs)
      .def_prop_ro("spec", &Sketch::spec)
      .def_prop_ro("rows_seen", &Sketch::rows_seen)
      .def_prop_ro("stretches", &Sketch::stretches)
      .def(
          "matrices",
          [](const Sketch& self, const MatrixArray<T>& SA, const MatrixArray<T>& SB) {
            self.matrices(view(SA), view(SB));
          },
          "SA"_a.noconvert(), "SB"_a.noconvert())
      .def(
          "solve",
          [](const Sketch& self, double ridge, double delta, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            return solution_tuple(without_gil([&] { return self.solve(ridge, delta, run); }));
          },
          "ridge"_a, "delta"_a, "n_threads"_a = 0)
      .def("to_bytes",
           [](const Sketch& self) {
             const std::vector<std::byte> bytes = self.to_bytes();
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def_static(
          "from_bytes",
          [](const nb::bytes& bytes) {
            return Sketch::from_bytes({static_cast<const std::byte*>(bytes.data()), bytes.size()});
          },
          "data"_a);
  bind_add_sparse_rows<T, std::int32_t>(type);
  bind_add_sparse_rows<T, std::int64_t>(type);
}

}  // namespace

void bind_sketch_row_sketch(nb::module_& module) {
  bind_row_sketch_of<float>(module, "RowSketch32");
  bind_row_sketch_of<double>(module, "RowSketch64");
  module.def("sketch_rows", &nearlinear::sketch_rows, "d"_a, "eps"_a, "delta"_a);
  module.def("student_quantile", &nearlinear::student_quantile, "probability"_a, "degrees_of_freedom"_a);
}

#include "nearlinear/sampling/streaming_coreset.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.hpp"

void bind_sampling_streaming_coreset(nb::module_& module);

void bind_sampling_streaming_coreset(nb::module_& module) {
  using nearlinear::Index;
  using nearlinear::StreamingCoreset;
  nb::class_<StreamingCoreset>(module, "StreamingCoreset")
      .def(nb::init<Index, double, Index, std::uint64_t>(), "cols"_a, "p"_a, "budget"_a, "seed"_a)
      .def(
          "add_rows",
          [](StreamingCoreset& self, Index first_row, const MatrixInput<double>& A, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.add_rows(first_row, view(A), run); });
          },
          "first_row"_a, "A"_a.noconvert(), "n_threads"_a = 0)
      .def(
          "merge",
          [](StreamingCoreset& self, const StreamingCoreset& other, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.merge(other, run); });
          },
          "other"_a, "n_threads"_a = 0)
      .def(
          "result",
          [](const StreamingCoreset& self, int n_threads) -> Tuple {
            const nearlinear::RunOptions run = run_options(n_threads);
            nearlinear::CoresetRows found = without_gil([&] { return self.result(run); });
            return nb::make_tuple(as_numpy(std::move(found.rows)), as_numpy(std::move(found.indices)),
                                  as_numpy(std::move(found.weights)));
          },
          "n_threads"_a = 0)
      .def_prop_ro("cols", &StreamingCoreset::cols)
      .def_prop_ro("p", &StreamingCoreset::p)
      .def_prop_ro("budget", &StreamingCoreset::budget)
      .def_prop_ro("seed", &StreamingCoreset::seed)
      .def_prop_ro("rows_seen", &StreamingCoreset::rows_seen)
      .def_prop_ro("stretches", &StreamingCoreset::stretches)
      .def("to_bytes",
           [](const StreamingCoreset& self) {
             const std::vector<std::byte> bytes = self.to_bytes();
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def_static(
          "from_bytes",
          [](const nb::bytes& bytes) {
            return StreamingCoreset::from_bytes({static_cast<const std::byte*>(bytes.data()), bytes.size()});
          },
          "data"_a);
}

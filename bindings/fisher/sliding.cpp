#include <nanobind/stl/string.h>

#include <algorithm>
#include <string>
#include <utility>

#include "fisher/options.hpp"
#include "nearlinear/core/errors.hpp"
#include "nearlinear/fisher/sliding_fisher_inverse.hpp"

void bind_fisher_sliding(nb::module_& module);

namespace {

using nearlinear::Array;
using nearlinear::Index;
using nearlinear::SlidingFisherState;

template <class T>
Array<T> copy_of(const VectorArray<T>& array) {
  Array<T> copy(static_cast<Index>(array.size()));
  std::copy_n(array.data(), array.size(), copy.data());
  return copy;
}

/// The state as a tuple of arrays: damping, slots, gradients, scales, gram, factor, residual.
Tuple as_tuple(SlidingFisherState&& state) {
  const Index bytes = state.gradients.size();
  return Tuple(nb::make_tuple(state.damping, as_numpy(std::move(state.slots)),
                              as_numpy(Array<std::uint8_t>(state.gradients.release(), bytes)),
                              as_numpy(std::move(state.scales)), as_numpy(std::move(state.gram)),
                              as_numpy(std::move(state.factor)), as_numpy(std::move(state.residual))));
}

template <class T>
void bind_sliding(nb::module_& module, const char* class_name) {
  using Inverse = nearlinear::SlidingFisherInverse<T>;
  nb::class_<Inverse>(module, class_name)
      .def(
          "__init__",
          [](Inverse* self, Index n_params, Index window, double damping, bool by_count, const std::string& storage,
             double kept) {
            new (self) Inverse(n_params, window,
                               {.damping = damping,
                                .normalization = by_count ? nearlinear::FisherNormalization::count
                                                          : nearlinear::FisherNormalization::capacity,
                                .storage = storage_of(storage),
                                .kept = kept});
          },
          "n_params"_a, "window"_a, "damping"_a, "by_count"_a, "storage"_a, "kept"_a)
      .def_prop_ro("n_stored", &Inverse::n_stored)
      .def_prop_ro("damping", &Inverse::damping)
      .def_prop_ro("nbytes", &Inverse::nbytes)
      .def(
          "update",
          [](Inverse& self, const MatrixInput<T>& gradients, int n_threads, const nb::object& callback) {
            const nearlinear::RunOptions run = run_options(n_threads, callback);
            without_gil([&] { self.update(view(gradients), run); });
          },
          "gradients"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none())
      .def(
          "precondition",
          [](Inverse& self, const VectorArray<T>& g, const VectorOutput<T>& y, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.precondition(view(g), view(y), run); });
          },
          "g"_a.noconvert(), "y"_a.noconvert(), "n_threads"_a = 0)
      .def(
          "apply",
          [](Inverse& self, const MatrixInput<T>& X, const MatrixArray<T>& Y, int n_threads,
             const nb::object& callback) {
            const nearlinear::RunOptions run = run_options(n_threads, callback);
            without_gil([&] { self.apply(view(X), view(Y), run); });
          },
          "X"_a.noconvert(), "Y"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none())
      .def(
          "combination",
          [](Inverse& self, const VectorArray<double>& a, const VectorOutput<T>& y, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.combination(view(a), view(y), run); });
          },
          "a"_a.noconvert(), "y"_a.noconvert(), "n_threads"_a = 0)
      .def("remove", &Inverse::remove, "age"_a)
      .def("set_damping", &Inverse::set_damping, "damping"_a)
      .def(
          "gradient", [](const Inverse& self, Index age, const VectorOutput<T>& out) { self.gradient(age, view(out)); },
          "age"_a, "out"_a.noconvert())
      .def(
          "log_determinant",
          [](Inverse& self, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            return without_gil([&] { return self.log_determinant(run); });
          },
          "n_threads"_a = 0)
      .def(
          "gram", [](const Inverse& self, const MatrixArray<double>& out) { self.gram(view(out)); },
          "out"_a.noconvert())
      .def("save", [](const Inverse& self) { return as_tuple(without_gil([&] { return self.save(); })); })
      .def(
          "load",
          [](Inverse& self, double damping, const VectorArray<Index>& slots, const VectorArray<std::uint8_t>& gradients,
             const VectorArray<double>& scales, const VectorArray<double>& gram, const VectorArray<double>& factor,
             const VectorArray<double>& residual) {
            SlidingFisherState state{.n_stored = static_cast<Index>(slots.size()),
                                     .damping = damping,
                                     .slots = copy_of(slots),
                                     .gradients = Array<std::byte>(static_cast<Index>(gradients.size())),
                                     .scales = copy_of(scales),
                                     .gram = copy_of(gram),
                                     .factor = copy_of(factor),
                                     .residual = copy_of(residual)};
            std::copy_n(reinterpret_cast<const std::byte*>(gradients.data()), gradients.size(), state.gradients.data());
            self.load(state);
          },
          "damping"_a, "slots"_a.noconvert(), "gradients"_a.noconvert(), "scales"_a.noconvert(), "gram"_a.noconvert(),
          "factor"_a.noconvert(), "residual"_a.noconvert());
}

}  // namespace

void bind_fisher_sliding(nb::module_& module) {
  bind_sliding<float>(module, "SlidingFisherInverse32");
  bind_sliding<double>(module, "SlidingFisherInverse64");
}

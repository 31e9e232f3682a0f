#include "nearlinear/fisher/recurrences.hpp"

#include "arrays.hpp"

void bind_fisher_recurrences(nb::module_& module);

namespace {

using nearlinear::Index;

template <class Recurrence, class T>
void bind_apply(nb::class_<Recurrence>& cls) {
  cls.def(
      "apply",
      [](const Recurrence& self, const MatrixInput<T>& X, const MatrixArray<T>& Y, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        without_gil([&] { self.apply(view(X), view(Y), run); });
      },
      "X"_a.noconvert(), "Y"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T>
void bind_static(nb::module_& module, const char* class_name) {
  using Recurrence = nearlinear::StaticRecurrence<T>;
  nb::class_<Recurrence> cls(module, class_name);
  cls.def(
         "__init__",
         [](Recurrence* self, const MatrixInput<T>& grads, double damping, double normalization, int n_threads,
            const nb::object& callback) {
           const nearlinear::RunOptions run = run_options(n_threads, callback);
           without_gil([&] { new (self) Recurrence(view(grads), damping, normalization, run); });
         },
         "grads"_a.noconvert(), "damping"_a, "normalization"_a, "n_threads"_a = 0, "callback"_a = nb::none())
      .def(
          "diagonal",
          [](const Recurrence& self, const VectorOutput<double>& out, int n_threads, const nb::object& callback) {
            const nearlinear::RunOptions run = run_options(n_threads, callback);
            without_gil([&] { self.diagonal(view(out), run); });
          },
          "out"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none())
      .def_prop_ro("denominators", [](nb::handle_t<Recurrence> self) {
        const auto den = nb::cast<const Recurrence&>(self).denominators();
        return nb::ndarray<nb::numpy, const double, nb::ndim<1>>(den.data(), {den.size()}, self);
      });
  bind_apply<Recurrence, T>(cls);
}

template <class T>
void bind_dynamic(nb::module_& module, const char* class_name) {
  using Recurrence = nearlinear::DynamicRecurrence<T>;
  nb::class_<Recurrence> cls(module, class_name);
  cls.def(nb::init<Index, Index, double>(), "n_params"_a, "window"_a, "damping"_a)
      .def_prop_ro("n_stored", &Recurrence::n_stored)
      .def(
          "update",
          [](Recurrence& self, const VectorArray<T>& g, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.update(view(g), run); });
          },
          "g"_a.noconvert(), "n_threads"_a = 0);
  bind_apply<Recurrence, T>(cls);
}

}  // namespace

void bind_fisher_recurrences(nb::module_& module) {
  bind_static<float>(module, "StaticRecurrence32");
  bind_static<double>(module, "StaticRecurrence64");
  bind_dynamic<float>(module, "DynamicRecurrence32");
  bind_dynamic<double>(module, "DynamicRecurrence64");
}

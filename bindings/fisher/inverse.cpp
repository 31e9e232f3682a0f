#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "fisher/options.hpp"
#include "nearlinear/fisher/fisher_inverse.hpp"

void bind_fisher_inverse(nb::module_& module);

namespace {

using nearlinear::Index;

template <class T>
void bind_inverse(nb::module_& module, const char* class_name) {
  using Inverse = nearlinear::FisherInverse<T>;
  const auto bind_product = [](auto& cls, const char* name, auto method) {
    cls.def(
        name,
        [method](const Inverse& self, const MatrixInput<T>& X, const MatrixArray<T>& Y, int n_threads,
                 const nb::object& callback) {
          const nearlinear::RunOptions run = run_options(n_threads, callback);
          without_gil([&] { (self.*method)(view(X), view(Y), run); });
        },
        "X"_a.noconvert(), "Y"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  };
  nb::class_<Inverse> cls(module, class_name);
  // Python keeps the gradients, unless they are copied to another storage.
  cls.def(
         "__init__",
         [](Inverse* self, const MatrixInput<T>& grads, const std::vector<double>& damping, Index block_size,
            double normalization, const std::string& storage, int n_threads, const nb::object& callback) {
           const nearlinear::RunOptions run = run_options(n_threads, callback);
           nearlinear::FisherOptions options{
               .damping = damping, .block_size = block_size, .normalization = normalization};
           if (!storage.empty()) {
             options.copy = true;
             options.storage = storage_of(storage);
           }
           without_gil([&] { new (self) Inverse(view(grads), options, run); });
         },
         "grads"_a.noconvert(), "damping"_a, "block_size"_a, "normalization"_a, "storage"_a, "n_threads"_a = 0,
         "callback"_a = nb::none())
      .def_prop_ro("n_gradients", &Inverse::n_gradients)
      .def_prop_ro("n_blocks", &Inverse::n_blocks)
      .def_prop_ro("nbytes", &Inverse::nbytes)
      .def("log_determinant", &Inverse::log_determinant)
      .def(
          "diagonal",
          [](const Inverse& self, const VectorOutput<double>& out, int n_threads, const nb::object& callback) {
            const nearlinear::RunOptions run = run_options(n_threads, callback);
            without_gil([&] { self.diagonal(view(out), run); });
          },
          "out"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none())
      .def(
          "elements",
          [](const Inverse& self, const VectorArray<Index>& i, const VectorArray<Index>& j,
             const VectorOutput<double>& out) {
            const nearlinear::RunOptions run = run_options(1);
            without_gil([&] { self.elements(view(i), view(j), view(out), run); });
          },
          "i"_a.noconvert(), "j"_a.noconvert(), "out"_a.noconvert())
      .def(
          "submatrix",
          [](const Inverse& self, const VectorArray<Index>& rows, const VectorArray<Index>& cols,
             const MatrixArray<double>& out) {
            const nearlinear::RunOptions run = run_options(1);
            without_gil([&] { self.submatrix(view(rows), view(cols), view(out), run); });
          },
          "rows"_a.noconvert(), "cols"_a.noconvert(), "out"_a.noconvert())
      .def(
          "group_inverses",
          [](const Inverse& self, const MatrixInput<Index>& groups, const VectorOutput<double>& out, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.group_inverses(view(groups), view(out), run); });
          },
          "groups"_a.noconvert(), "out"_a.noconvert(), "n_threads"_a = 0)
      .def(
          "set_damping",
          [](Inverse& self, const std::vector<double>& damping, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { self.set_damping(damping, run); });
          },
          "damping"_a, "n_threads"_a = 0)
      .def(
          "joint_step",
          [](const Inverse& self, const VectorArray<T>& w, const VectorArray<std::uint8_t>& prune,
             const VectorOutput<T>& step, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            return without_gil([&] { return self.joint_step(view(w), view(prune), view(step), run).loss_increase; });
          },
          "w"_a.noconvert(), "prune"_a.noconvert(), "step"_a.noconvert(), "n_threads"_a = 0)
      .def_prop_ro("gram", [](nb::handle_t<Inverse> self) {
        const auto K = nb::cast<const Inverse&>(self).gram();
        const auto n = static_cast<std::size_t>(K.rows());
        return nb::ndarray<nb::numpy, const double, nb::ndim<2>>(K.data(), {n, n}, self);
      });
  bind_product(cls, "apply", &Inverse::apply);
  bind_product(cls, "apply_fisher", &Inverse::apply_fisher);
  bind_product(cls, "apply_square_root", &Inverse::apply_square_root);
}

}  // namespace

void bind_fisher_inverse(nb::module_& module) {
  bind_inverse<float>(module, "FisherInverse32");
  bind_inverse<double>(module, "FisherInverse64");
}

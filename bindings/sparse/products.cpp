#include "sparse/csr.hpp"

void bind_sparse_products(nb::module_& module);

namespace {

template <class T, class I>
void bind_gram(nb::module_& module) {
  module.def(
      "gram",
      [](const CsrTuple<T, I>& A, nearlinear::GramSide side, nearlinear::GramMethod method, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return csr_parts(without_gil([&] { return nearlinear::gram(csr_view<T, I>(A), {side, method}, run); }));
      },
      "A"_a.noconvert(), "side"_a, "method"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T, class I>
void bind_triple_product(nb::module_& module) {
  module.def(
      "triple_product",
      [](const CsrTuple<T, I>& R, const CsrTuple<T, I>& A, const CsrTuple<T, I>& P,
         nearlinear::TripleProductMethod method, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return csr_parts(without_gil([&] {
          return nearlinear::triple_product(csr_view<T, I>(R), csr_view<T, I>(A), csr_view<T, I>(P), {method}, run);
        }));
      },
      "R"_a.noconvert(), "A"_a.noconvert(), "P"_a.noconvert(), "method"_a, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

template <class T, class I>
void bind_matpow(nb::module_& module) {
  module.def(
      "matpow",
      [](const CsrTuple<T, I>& A, nearlinear::Index k, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return csr_parts(without_gil([&] { return nearlinear::matpow(csr_view<T, I>(A), k, run); }));
      },
      "A"_a.noconvert(), "k"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T, class I>
void bind_types(nb::module_& module) {
  bind_gram<T, I>(module);
  bind_triple_product<T, I>(module);
  bind_matpow<T, I>(module);
}

}  // namespace

void bind_sparse_products(nb::module_& module) {
  nb::enum_<nearlinear::GramSide>(module, "GramSide")
      .value("right", nearlinear::GramSide::right)
      .value("left", nearlinear::GramSide::left);
  nb::enum_<nearlinear::GramMethod>(module, "GramMethod")
      .value("auto", nearlinear::GramMethod::automatic)
      .value("half", nearlinear::GramMethod::half)
      .value("whole", nearlinear::GramMethod::whole);
  nb::enum_<nearlinear::TripleProductMethod>(module, "TripleProductMethod")
      .value("auto", nearlinear::TripleProductMethod::automatic)
      .value("fused", nearlinear::TripleProductMethod::fused)
      .value("separate", nearlinear::TripleProductMethod::separate);
  bind_types<float, std::int32_t>(module);
  bind_types<float, std::int64_t>(module);
  bind_types<double, std::int32_t>(module);
  bind_types<double, std::int64_t>(module);
}

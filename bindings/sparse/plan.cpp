#include "sparse/csr.hpp"

void bind_sparse_plan(nb::module_& module);

namespace {

/// The plan's own memory, which Python may read as long as it likes.
template <class Element>
nb::ndarray<nb::numpy, const Element, nb::ndim<1>> as_numpy(std::span<const Element> values, nb::handle plan) {
  return {values.data(), {values.size()}, plan};
}

template <class T, class I>
void bind_plan(nb::module_& module, const char* class_name) {
  using Plan = nearlinear::MatmulPlan<T, I>;
  nb::class_<Plan>(module, class_name)
      .def_prop_ro("nnz", &Plan::nnz)
      .def_prop_ro("products", &Plan::products)
      .def_prop_ro("indptr",
                   [](nb::handle_t<Plan> plan) { return as_numpy(nb::cast<const Plan&>(plan).indptr(), plan); })
      .def_prop_ro("indices",
                   [](nb::handle_t<Plan> plan) { return as_numpy(nb::cast<const Plan&>(plan).indices(), plan); })
      .def(
          "execute",
          [](const Plan& plan, const VectorArray<T>& A_data, const VectorArray<T>& B_data,
             const VectorOutput<T>& C_data, int n_threads, const nb::object& callback) {
            const nearlinear::RunOptions run = run_options(n_threads, callback);
            without_gil([&] { plan.execute(view(A_data), view(B_data), view(C_data), run); });
          },
          "A_data"_a.noconvert(), "B_data"_a.noconvert(), "C_data"_a.noconvert(), "n_threads"_a = 0,
          "callback"_a = nb::none());
  module.def(
      "matmul_plan",
      [](const CsrTuple<T, I>& A, const CsrTuple<T, I>& B, bool store_positions, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        // As an object of any type: overloads that differ in what they return are an error to type checkers.
        return nb::object(
            nb::cast(without_gil([&] { return Plan(csr_view<T, I>(A), csr_view<T, I>(B), {store_positions}, run); })));
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "store_positions"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_sparse_plan(nb::module_& module) {
  bind_plan<float, std::int32_t>(module, "MatmulPlan32");
  bind_plan<float, std::int64_t>(module, "MatmulPlan32Wide");
  bind_plan<double, std::int32_t>(module, "MatmulPlan64");
  bind_plan<double, std::int64_t>(module, "MatmulPlan64Wide");
}

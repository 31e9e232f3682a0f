#include "nearlinear/linalg/elementwise.hpp"

#include "arrays.hpp"

namespace {

template <class T>
void bind_maps(nb::module_& module) {
  const auto define = [&module](const char* name, auto function) {
    module.def(
        name,
        [function](const VectorArray<T>& x, const VectorOutput<T>& y, int n_threads, const nb::object& callback) {
          const nearlinear::RunOptions run = run_options(n_threads, callback);
          without_gil([&] { function(view(x), view(y), run); });
        },
        "x"_a.noconvert(), "y"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  };
  define("exp", nearlinear::exp<T>);
  define("log", nearlinear::log<T>);
}

template <class T>
void bind_sums(nb::module_& module) {
  const auto define = [&module](const char* name, auto function) {
    module.def(
        name,
        [function](const VectorArray<T>& x, int n_threads, const nb::object& callback) {
          const nearlinear::RunOptions run = run_options(n_threads, callback);
          return without_gil([&] { return function(view(x), run); });
        },
        "x"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  };
  define("sum", nearlinear::sum<T>);
  define("norm", nearlinear::norm<T>);
  define("log_sum_exp", nearlinear::log_sum_exp<T>);
  module.def(
      "dot",
      [](const VectorArray<T>& x, const VectorArray<T>& y, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::dot<T>(view(x), view(y), run); });
      },
      "x"_a.noconvert(), "y"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
}

template <class T>
void bind_matrix_log_sum_exp(nb::module_& module) {
  const auto define = [&module](const char* name, auto function) {
    module.def(
        name,
        [function](const MatrixInput<T>& A, const VectorOutput<T>& result, int n_threads, const nb::object& callback) {
          const nearlinear::RunOptions run = run_options(n_threads, callback);
          without_gil([&] { function(view(A), view(result), run); });
        },
        "A"_a.noconvert(), "result"_a.noconvert(), "n_threads"_a = 0, "callback"_a = nb::none());
  };
  define("row_log_sum_exp", nearlinear::row_log_sum_exp<T>);
  define("column_log_sum_exp", nearlinear::column_log_sum_exp<T>);
}

template <class T>
void bind_top_k(nb::module_& module) {
  module.def(
      "top_k",
      [](const VectorArray<T>& x, const VectorOutput<nearlinear::Index>& indices, double warm_threshold,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(1, callback);
        const auto k = static_cast<nearlinear::Index>(indices.size());
        without_gil([&] { nearlinear::top_k<T>(view(x), k, view(indices), static_cast<T>(warm_threshold), run); });
      },
      "x"_a.noconvert(), "indices"_a.noconvert(), "warm_threshold"_a = -std::numeric_limits<double>::infinity(),
      "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_elementwise(nb::module_& module) {
  bind_maps<float>(module);
  bind_maps<double>(module);
  bind_sums<float>(module);
  bind_sums<double>(module);
  bind_matrix_log_sum_exp<float>(module);
  bind_matrix_log_sum_exp<double>(module);
  bind_top_k<float>(module);
  bind_top_k<double>(module);
}

#include "nearlinear/completion/model.hpp"

#include <algorithm>

#include "sparse/csr.hpp"

void bind_completion_model(nb::module_& module);

namespace {

using nearlinear::FoldAxis;
using nearlinear::FoldInOptions;
using nearlinear::Index;
using nearlinear::LowRankModel;

using Handle = nb::handle_t<LowRankModel>;

const LowRankModel& model_at(Handle handle) { return nb::cast<const LowRankModel&>(handle); }

/// The model's own memory, which Python may read as long as it likes.
nb::ndarray<nb::numpy, const double, nb::ndim<2>> matrix_of(const nearlinear::MatrixView<double>& matrix,
                                                            Handle model) {
  return {matrix.data(), {static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols())}, model};
}

nb::ndarray<nb::numpy, const double, nb::ndim<1>> vector_of(const nearlinear::Array<double>& vector, Handle model) {
  return {vector.data(), {static_cast<std::size_t>(vector.size())}, model};
}

nearlinear::Array<double> copy_of(const double* data, std::size_t size) {
  nearlinear::Array<double> copy(static_cast<Index>(size));
  std::copy_n(data, size, copy.data());
  return copy;
}

/// Both vectors of biases are empty for a model without.
LowRankModel model_of(const MatrixInput<double>& U, const MatrixInput<double>& V, double mu,
                      const VectorArray<double>& row_bias, const VectorArray<double>& col_bias) {
  if (U.shape(1) != V.shape(1)) throw nb::value_error("U and V must have as many columns");
  LowRankModel model;
  model.rows = static_cast<Index>(U.shape(0));
  model.cols = static_cast<Index>(V.shape(0));
  model.rank = static_cast<Index>(U.shape(1));
  model.left = copy_of(U.data(), U.size());
  model.right = copy_of(V.data(), V.size());
  model.mu = mu;
  model.row_bias = copy_of(row_bias.data(), row_bias.size());
  model.col_bias = copy_of(col_bias.data(), col_bias.size());
  return model;
}

template <class I>
void bind_fold_in(nb::class_<LowRankModel>& model) {
  model.def(
      "fold_in",
      [](const LowRankModel& self, const CsrTuple<double, I>& X, const VectorArray<double>& weights,
         const MatrixArray<double>& factors, const VectorOutput<double>& biases, FoldAxis axis, double lam,
         bool nonnegative, bool implicit, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const FoldInOptions options{axis, lam, nonnegative, implicit};
        without_gil([&] {
          nearlinear::fold_in(self, csr_view<double, I>(X), view(weights), view(factors), view(biases), options, run);
        });
      },
      "X"_a.noconvert(), "weights"_a.noconvert(), "factors"_a.noconvert(), "biases"_a.noconvert(), "axis"_a, "lam"_a,
      "nonnegative"_a, "implicit"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_completion_model(nb::module_& module) {
  nb::enum_<FoldAxis>(module, "FoldAxis").value("rows", FoldAxis::rows).value("cols", FoldAxis::cols);
  nb::class_<LowRankModel> model(module, "LowRankModel");
  model
      .def(nb::new_(&model_of), "U"_a.noconvert(), "V"_a.noconvert(), "mu"_a, "row_bias"_a.noconvert(),
           "col_bias"_a.noconvert())
      .def_ro("rank", &LowRankModel::rank)
      .def_ro("mu", &LowRankModel::mu)
      .def_prop_ro("U", [](Handle self) { return matrix_of(model_at(self).U(), self); })
      .def_prop_ro("V", [](Handle self) { return matrix_of(model_at(self).V(), self); })
      .def_prop_ro("s", [](Handle self) { return vector_of(model_at(self).singular_values, self); })
      .def_prop_ro("row_bias", [](Handle self) { return vector_of(model_at(self).row_bias, self); })
      .def_prop_ro("col_bias", [](Handle self) { return vector_of(model_at(self).col_bias, self); })
      .def(
          "predict",
          [](const LowRankModel& self, const VectorArray<std::int64_t>& rows, const VectorArray<std::int64_t>& cols,
             const VectorOutput<double>& values, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { nearlinear::predict(self, view(rows), view(cols), view(values), run); });
          },
          "rows"_a.noconvert(), "cols"_a.noconvert(), "values"_a.noconvert(), "n_threads"_a = 0)
      .def(
          "recommend",
          [](const LowRankModel& self, Index row, const VectorArray<std::int64_t>& seen,
             const VectorOutput<Index>& cols, const VectorOutput<double>& values, int n_threads) {
            const nearlinear::RunOptions run = run_options(n_threads);
            without_gil([&] { nearlinear::recommend(self, row, view(seen), view(cols), view(values), run); });
          },
          "row"_a, "seen"_a.noconvert(), "cols"_a.noconvert(), "values"_a.noconvert(), "n_threads"_a = 0);
  bind_fold_in<std::int32_t>(model);
  bind_fold_in<std::int64_t>(model);
}

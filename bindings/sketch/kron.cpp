#include "nearlinear/sketch/kron.hpp"

#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <vector>

#include "arrays.hpp"

void bind_sketch_kron(nb::module_& module);

namespace {

using nearlinear::Index;
using nearlinear::KronLstsqOptions;
using nearlinear::KronMethod;

template <class T>
using Views = std::vector<nearlinear::MatrixView<const T>>;

template <class T>
Views<T> views(const std::vector<MatrixInput<T>>& factors) {
  Views<T> result;
  for (const auto& factor : factors) result.push_back(view(factor));
  return result;
}

template <class T>
Tuple as_tuple(nearlinear::KronLstsqResult<T>&& result) {
  return nb::make_tuple(as_numpy(std::move(result.x)), result.residual_norm, result.rank,
                        as_numpy(std::move(result.indices)));
}

/// Entries of b by a Python function of an array of index tuples, which answers an array of T.
template <class T>
nearlinear::KronEntries<T> entries_by(const nb::object& function) {
  return [&function](nearlinear::MatrixView<const Index> indices, std::span<T> entries) {
    const nb::gil_scoped_acquire gil;
    nearlinear::Array<Index> copy(indices.rows() * indices.cols());
    std::copy_n(indices.data(), copy.size(), copy.data());
    const auto answer = nb::cast<VectorArray<T>>(function(as_numpy(std::move(copy))));
    nearlinear::require(answer.size() == entries.size(), "kron_lstsq: b answers ", answer.size(), " entries for ",
                        entries.size(), " index tuples");
    std::copy_n(answer.data(), answer.size(), entries.data());
  };
}

template <class T>
void bind_kron(nb::module_& module) {
  module.def(
      "tensor_srht",
      [](const std::vector<MatrixInput<T>>& factors, std::uint64_t seed, bool khatri_rao, const MatrixArray<T>& SA,
         int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        const Views<T> matrices = views<T>(factors);
        without_gil([&] {
          if (khatri_rao)
            nearlinear::tensor_srht_khatri_rao<T>(matrices, seed, view(SA), run);
          else
            nearlinear::tensor_srht<T>(matrices, seed, view(SA), run);
        });
      },
      "factors"_a.noconvert(), "seed"_a, "khatri_rao"_a, "SA"_a.noconvert(), "n_threads"_a = 0);
  module.def(
      "tensor_srht_vector",
      [](const std::vector<Index>& sizes, const VectorArray<T>& b, std::uint64_t seed, const VectorOutput<T>& Sb,
         int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        without_gil([&] { nearlinear::tensor_srht_vector<T>(sizes, view(b), seed, view(Sb), run); });
      },
      "sizes"_a, "b"_a.noconvert(), "seed"_a, "Sb"_a.noconvert(), "n_threads"_a = 0);
  module.def(
      "kron_lstsq",
      [](const std::vector<MatrixInput<T>>& factors, const VectorArray<T>& b, KronMethod method, Index sketch_rows,
         std::uint64_t seed, int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        const Views<T> matrices = views<T>(factors);
        const KronLstsqOptions options{method, sketch_rows, seed};
        return as_tuple(without_gil([&] { return nearlinear::kron_lstsq<T>(matrices, view(b), options, run); }));
      },
      "factors"_a.noconvert(), "b"_a.noconvert(), "method"_a, "sketch_rows"_a, "seed"_a, "n_threads"_a = 0);
  module.def(
      "kron_lstsq_sample",
      [](const std::vector<MatrixInput<T>>& factors, const nb::object& b, Index sketch_rows, std::uint64_t seed,
         int n_threads) {
        const nearlinear::RunOptions run = run_options(n_threads);
        const Views<T> matrices = views<T>(factors);
        const KronLstsqOptions options{KronMethod::sampling, sketch_rows, seed};
        const nearlinear::KronEntries<T> entries = entries_by<T>(b);
        return as_tuple(without_gil([&] { return nearlinear::kron_lstsq<T>(matrices, entries, options, run); }));
      },
      "factors"_a.noconvert(), "b"_a, "sketch_rows"_a, "seed"_a, "n_threads"_a = 0);
}

}  // namespace

void bind_sketch_kron(nb::module_& module) {
  nb::enum_<KronMethod>(module, "KronMethod")
      .value("exact", KronMethod::exact)
      .value("tensor_srht", KronMethod::tensor_srht)
      .value("sampling", KronMethod::sampling);
  module.def("kron_sketch_rows", &nearlinear::kron_sketch_rows, "D"_a);
  bind_kron<float>(module);
  bind_kron<double>(module);
}

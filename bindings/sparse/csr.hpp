/// Sparse matrices as Python passes and takes them.
#pragma once

#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <tuple>

#include "arrays.hpp"
#include "nearlinear/sparse.hpp"

using Extent = std::pair<nearlinear::Index, nearlinear::Index>;

/// What Python passes for a matrix: shape, data, indices, indptr.
template <class T, class I>
using CsrTuple = std::tuple<Extent, VectorArray<T>, VectorArray<I>, VectorArray<I>>;

template <class T, class I>
nearlinear::CsrView<T, I> csr_view(const CsrTuple<T, I>& matrix) {
  const auto& [shape, data, indices, indptr] = matrix;
  return {shape.first, shape.second, view(indptr), view(indices), view(data)};
}

using CsrParts = nb::typed<nb::tuple, nb::object, nb::object, nb::object>;

/// data, indices, indptr: in the order of SciPy's constructors.
template <class T, class I>
CsrParts csr_parts(nearlinear::CsrMatrix<T, I>&& matrix) {
  return nb::make_tuple(as_numpy(std::move(matrix.data)), as_numpy(std::move(matrix.indices)),
                        as_numpy(std::move(matrix.indptr)));
}

template <class T, class I>
void bind_require_valid_csr(nb::module_& module) {
  module.def(
      "require_valid_csr",
      [](const CsrTuple<T, I>& matrix, const char* function, const char* argument) {
        const nearlinear::RunOptions run = run_options(0);
        return without_gil(
            [&] { return nearlinear::require_valid_csr(csr_view<T, I>(matrix), function, argument, run); });
      },
      "matrix"_a.noconvert(), "function"_a, "argument"_a);
}

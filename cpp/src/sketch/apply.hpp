/// Sketches of rows, wherever they stand in the matrix, and of whole matrices.
#pragma once

#include "nearlinear/sketch/sketch.hpp"
#include "sketch/row_source.hpp"

namespace nearlinear::sketch {

/// Whether rows can be sketched one after the other: all kinds but dct and pooled.
[[nodiscard]] bool is_streamed(SketchKind kind);

/// sums <- sums + S_0 [A B] for rows that stand at offset, offset + 1, ... of the whole matrix; S = scale(spec) S_0.
template <class T>
void add_to_sketch(const SketchSpec& spec, Index offset, const RowSource<T>& rows, MatrixView<T> sums,
                   const RunOptions& run);

/// The same for sparse maps (sjlt, countsketch) and sparse rows, whose zeros cost nothing.
template <class T, class I>
void add_sparse_to_sketch(const SketchSpec& spec, Index offset, const CsrRows<T, I>& rows, MatrixView<T> sums,
                          const RunOptions& run);

/// SAB <- S [A B] for any kind, of a whole matrix.
template <class T>
void sketch_all(const SketchSpec& spec, const RowSource<T>& rows, MatrixView<T> SAB, const RunOptions& run);
template <class T, class I>
void sketch_all(const SketchSpec& spec, const CsrRows<T, I>& rows, MatrixView<T> SAB, const RunOptions& run);

/// dct and pooled.
template <class T>
void sketch_whole(const SketchSpec& spec, const RowSource<T>& rows, MatrixView<T> SAB, const RunOptions& run);
template <class T>
void sketch_whole_transposed(const SketchSpec& spec, MatrixView<const T> Y, MatrixView<T> X, const RunOptions& run);

/// Throws std::invalid_argument unless the spec is one for matrices of n rows.
void require_valid(const SketchSpec& spec, Index n, const char* function);

template <class T>
void multiply_by(MatrixView<T> matrix, double factor);

}  // namespace nearlinear::sketch

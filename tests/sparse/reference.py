"""The definitions, as slow as they read."""

import numpy as np
import scipy.sparse


def matmul(A, B):
    """
    Row-wise product, one hash table per row: C_i = sum over k of A_ik B_k.

    Products are merged in the order of row i of A, in the working precision, so that an implementation that sums in
    this order agrees to the last bit. B's duplicates are summed first; every stored place counts, also a stored zero.
    """
    dtype = np.result_type(A.dtype, B.dtype)
    index = np.result_type(A.indices, B.indices)
    rows_of_b = [row_of(B, k) for k in range(B.shape[0])]
    data, indices, indptr = [], [], [0]
    for i in range(A.shape[0]):
        table = {}
        for e in range(A.indptr[i], A.indptr[i + 1]):
            a = dtype.type(A.data[e])
            for column, b in rows_of_b[A.indices[e]].items():
                table[column] = table.get(column, dtype.type(0)) + a * dtype.type(b)
        for column in sorted(table):
            indices.append(column)
            data.append(table[column])
        indptr.append(len(indices))
    return scipy.sparse.csr_array(
        (np.array(data, dtype=dtype), np.array(indices, dtype=index), np.array(indptr, dtype=index)),
        shape=(A.shape[0], B.shape[1]),
    )


def select(matrix, *, prune_zeros=False, threshold=None, top_k=None):
    """Return a canonical matrix without the entries that matmul drops."""
    kept = np.zeros(matrix.nnz, bool)
    for i in range(matrix.shape[0]):
        places = [
            e
            for e in range(matrix.indptr[i], matrix.indptr[i + 1])
            if not (prune_zeros and matrix.data[e] == 0)
            and not (threshold is not None and abs(matrix.data[e]) < matrix.dtype.type(threshold))
        ]
        if top_k is not None:
            places = sorted(places, key=lambda e: (np.isnan(matrix.data[e]), -matrix.data[e], e))[:top_k]
        kept[places] = True
    counts = np.concatenate([[0], np.cumsum(kept)]).astype(matrix.indptr.dtype)
    return scipy.sparse.csr_array((matrix.data[kept], matrix.indices[kept], counts[matrix.indptr]), shape=matrix.shape)


def row_of(matrix, i):
    row = {}
    for e in range(matrix.indptr[i], matrix.indptr[i + 1]):
        column = matrix.indices[e]
        row[column] = row[column] + matrix.data[e] if column in row else matrix.data[e]
    return row

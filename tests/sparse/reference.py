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


SEMIRINGS = {
    "plus_times": (lambda x, y: x + y, lambda a, b: a * b),
    "min_plus": (np.minimum, lambda a, b: a + b),
    "max_plus": (np.maximum, lambda a, b: a + b),
    "max_times": (np.maximum, lambda a, b: a * b),
    "or_and": (np.logical_or, np.logical_and),
    "plus_pair": (lambda x, y: x + y, lambda a, b: np.int64(1)),
    "min_first": (np.minimum, lambda a, b: a),
}


def semiring_matmul(A, B, semiring, *, mask=None, mask_complement=False, mask_values=False, accum=None):
    """
    The definition of a product over a semiring, entry by entry.

    Places that an operand stores twice are added first, so that sums of real numbers may differ in their last bits.
    """
    add, multiply = SEMIRINGS[semiring]
    dtype = type_of_product(A, B, semiring, accum)

    def table(matrix):
        entries = {}
        for i in range(matrix.shape[0]):
            for e in range(matrix.indptr[i], matrix.indptr[i + 1]):
                place, value = (i, int(matrix.indices[e])), dtype.type(matrix.data[e])
                entries[place] = dtype.type(add(entries[place], value)) if place in entries else value
        return entries

    with np.errstate(over="ignore", invalid="ignore"):
        rows_of_b = {}
        for (k, j), b in table(B).items():
            rows_of_b.setdefault(k, []).append((j, b))
        entries = {} if accum is None else table(accum)
        for (i, k), a in table(A).items():
            for j, b in rows_of_b.get(k, []):
                term = dtype.type(multiply(a, b))
                entries[i, j] = dtype.type(add(entries[i, j], term)) if (i, j) in entries else term
    if mask is not None:
        summed = scipy.sparse.coo_array(mask)
        summed.sum_duplicates()
        allowed = {(i, j) for i, j, m in zip(summed.row, summed.col, summed.data, strict=True) if m or not mask_values}
        entries = {place: value for place, value in entries.items() if (place in allowed) != mask_complement}
    places = sorted(entries)
    data = np.array([entries[place] for place in places], dtype=dtype)
    indices = np.array([j for _, j in places], dtype=np.int64)
    indptr = np.searchsorted([i for i, _ in places], np.arange(A.shape[0] + 1))
    return scipy.sparse.csr_array((data, indices, indptr), shape=(A.shape[0], B.shape[1]))


def type_of_product(A, B, semiring, accum=None):
    if semiring == "or_and":
        return np.dtype(bool)
    if semiring == "plus_pair":
        return np.dtype(np.int64)
    matrices = [A] if semiring == "min_first" else [A, B]
    dtype = np.result_type(*(matrix.dtype for matrix in [*matrices, *([] if accum is None else [accum])]))
    return np.dtype(np.int64) if dtype.kind == "b" and semiring != "plus_times" else dtype


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


def sum_duplicates(matrix):
    """Return the matrix in canonical format: entries of a place summed in the order in which they are stored."""
    identity = scipy.sparse.eye_array(matrix.shape[0], dtype=matrix.dtype, format="csr")
    index = matrix.indices.dtype
    identity.indices, identity.indptr = identity.indices.astype(index), identity.indptr.astype(index)
    return matmul(identity, matrix)


def row_of(matrix, i):
    row = {}
    for e in range(matrix.indptr[i], matrix.indptr[i + 1]):
        column = matrix.indices[e]
        row[column] = row[column] + matrix.data[e] if column in row else matrix.data[e]
    return row

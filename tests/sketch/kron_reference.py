"""
Kronecker least squares and tensor sketches straight from the mathematics: products and sketches are formed.

The random numbers are those that cpp/include/nearlinear/sketch/kron.hpp documents.
"""

import functools
import math

import numpy as np
import scipy.linalg

FIRST_TREE_STREAM = 16
SAMPLING_STREAM = 8


def philox_words(seed, stream, count):
    """Return the four 32-bit words of Philox 4x32-10 at the counters 0, ..., count - 1, shape (count, 4)."""
    index = np.arange(count, dtype=np.uint64)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    counter = [
        index & low,
        index >> shift,
        *(np.full(count, word, np.uint64) for word in (stream % 2**32, stream >> 32)),
    ]
    key = [seed % 2**32, seed >> 32]
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        counter = [
            (second >> shift) ^ counter[1] ^ np.uint64(key[0]),
            second & low,
            (first >> shift) ^ counter[3] ^ np.uint64(key[1]),
            first & low,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return np.stack(counter, axis=1)


def long_words(seed, stream, count):
    """Return the two 64-bit words of every counter, low halves first, shape (count, 2)."""
    words = philox_words(seed, stream, count)
    return words[:, ::2] | (words[:, 1::2] << np.uint64(32))


def uniforms(seed, stream, count):
    return (long_words(seed, stream, count)[:, 0] >> np.uint64(11)).astype(float) * 2.0**-53


def signs(seed, stream, n):
    words = philox_words(seed, stream, -(-n // 128)).ravel()
    bits = (words[:, np.newaxis] >> np.arange(32, dtype=np.uint64)) & np.uint64(1)
    return 1 - 2 * bits.ravel()[:n].astype(float)


def transform(seed, stream, n):
    """Return the n columns of H D that meet no rows of zeros."""
    size = 2 ** math.ceil(math.log2(n))
    return scipy.linalg.hadamard(size, dtype=float)[:, :n] * signs(seed, stream, n)


def pair_sketch(seed, node, m, n_1, n_2):
    """Return m^{-1/2} P (H D_1 (x) H D_2), m x (n_1 n_2)."""
    stream = FIRST_TREE_STREAM + 3 * node
    left, right = transform(seed, stream, n_1), transform(seed, stream + 1, n_2)
    picks = long_words(seed, stream + 2, m)
    i, j = (picks[:, side] % np.uint64(size) for side, size in enumerate((len(left), len(right))))
    return np.einsum("ka,kb->kab", left[i], right[j]).reshape(m, -1) / math.sqrt(m)


def tensor_srht(sizes, m, seed):
    """Return S, m x prod(sizes)."""
    if len(sizes) == 1:
        return pair_sketch(seed, 0, m, sizes[0], 1) * signs(seed, FIRST_TREE_STREAM + 1, 1)[0]
    level = [np.eye(n) for n in sizes]
    node = 0
    while len(level) > 1:
        pairs, level = level, []
        for left, right in zip(pairs[::2], pairs[1::2], strict=False):
            product = np.kron(left, right)
            is_whole = len(pairs) > 2 and len(product) <= m
            level.append(product if is_whole else pair_sketch(seed, node, m, len(left), len(right)) @ product)
            node += 1
        level += pairs[2 * (len(pairs) // 2) :]
    return level[0]


def kron(factors):
    return functools.reduce(np.kron, factors)


def khatri_rao(factors):
    columns = zip(*(factor.T for factor in factors), strict=True)
    return np.stack([kron(column) for column in columns], axis=1)


def sample(factors, m, seed):
    """Return the index tuples of a sample by leverage scores, m x q, and their probabilities."""
    numbers = uniforms(seed, SAMPLING_STREAM, m * len(factors)).reshape(m, -1)
    indices, probabilities = [], np.ones(m)
    for factor, column in zip(factors, numbers.T, strict=True):
        scores = (np.linalg.qr(factor)[0] ** 2).sum(axis=1)
        running = np.cumsum(scores)
        indices.append(np.searchsorted(running, column * running[-1], side="right"))
        probabilities *= scores[indices[-1]] / factor.shape[1]
    return np.stack(indices, axis=1), probabilities


def gaussian_linf(m, d, delta=0.05):
    """Return eps such that |x - x*|_inf <= eps / sqrt(d) |r| |A^+| with probability 1 - delta for Gaussian sketches."""
    return math.sqrt(2 * d * math.log(2 * d / delta) / (m - d - 1))

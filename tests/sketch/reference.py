"""
The sketches and the solver straight from their definitions, in dense NumPy.

Entries of S come from Philox 4x32-10 as cpp/src/sketch/random_map.hpp numbers its streams, so that sketches can be
compared entry by entry; everything else is the textbook's.
"""

from typing import Any

import numpy as np
import scipy.linalg
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIGNS, PICKS, TARGETS, GAUSSIAN, POOL, PERMUTATION = range(6)


def philox(seed: int, stream: int, first: int, count: int) -> NDArray[np.uint32]:
    """Four 32-bit words for each of `count` counters (Salmon et al. 2011)."""
    mask = np.uint64(0xFFFFFFFF)
    index = np.arange(first, first + count, dtype=np.uint64)
    counter = [index & mask, index >> np.uint64(32)]
    counter += [np.full(count, stream & 0xFFFFFFFF, np.uint64), np.full(count, stream >> 32, np.uint64)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        counter = [
            (b >> np.uint64(32)) ^ counter[1] ^ np.uint64(key[0]),
            b & mask,
            (a >> np.uint64(32)) ^ counter[3] ^ np.uint64(key[1]),
            a & mask,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(counter, axis=1).astype(np.uint32)


def words(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    return philox(seed, stream, 0, -(-count // 4)).ravel()[:count].astype(np.uint64)


def uniforms(seed: int, stream: int, count: int) -> Array:
    w = philox(seed, stream, 0, count).astype(np.uint64)
    return ((w[:, 1] << np.uint64(32) | w[:, 0]) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(seed: int, stream: int, rows: int, cols: int) -> Array:
    """Box and Muller: a pair for every counter, an even number for every row."""
    pairs = -(-cols // 2)
    w = philox(seed, stream, 0, rows * pairs).astype(np.uint64)
    u = ((w[:, 1] << np.uint64(32) | w[:, 0]) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    v = ((w[:, 3] << np.uint64(32) | w[:, 2]) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    radius = np.sqrt(-2 * np.log(1 - u))
    both = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], axis=1)
    return both.reshape(rows, 2 * pairs)[:, :cols]


def signs(seed: int, n: int) -> Array:
    w = words(seed, SIGNS, -(-n // 32))
    i = np.arange(n)
    return 1.0 - 2.0 * ((w[i // 32] >> (i % 32).astype(np.uint64)) & np.uint64(1))


def targets(seed: int, n: int, m: int, nonzeros: int) -> tuple[NDArray[np.intp], Array]:
    """Row and sign of the entries of every column: stripe t is the rows [t m / zeta, (t + 1) m / zeta)."""
    w = words(seed, TARGETS, n * nonzeros).reshape(n, nonzeros)
    edges = np.array([t * m // nonzeros for t in range(nonzeros + 1)])
    rows = edges[:-1] + ((w * np.diff(edges).astype(np.uint64)) >> np.uint64(32)).astype(np.intp)
    return rows, 1.0 - 2.0 * (w & np.uint64(1))


def sparse_map(seed: int, n: int, m: int, nonzeros: int) -> Array:
    rows, values = targets(seed, n, m, nonzeros)
    S = np.zeros((m, n))
    np.add.at(S, (rows, np.arange(n)[:, np.newaxis]), values / np.sqrt(nonzeros))
    return S


def hadamard(n: int) -> Array:
    i = np.arange(n)
    return 1.0 - 2.0 * (np.bitwise_count(i[:, np.newaxis] & i) % 2)


def block_size(d: int, m: int) -> int:
    block = 1024
    while block < 65536 and block < max(4 * d, 8 * np.sqrt(m)):
        block *= 2
    return block


def sketch_matrix(kind: str, m: int, n: int, d: int, seed: int) -> Array:
    """S for n x d matrices."""
    if kind == "gaussian":
        return normals(seed, GAUSSIAN, n, m).T / np.sqrt(m)
    if kind in ("countsketch", "sjlt"):
        return sparse_map(seed, n, m, 1 if kind == "countsketch" else min(8, m))
    D = signs(seed, n)
    if kind == "srht":
        w = philox(seed, PICKS, 0, m).astype(np.uint64)
        picks = w[:, 1] << np.uint64(32) | w[:, 0]
        parity = np.bitwise_count(picks[:, np.newaxis] & np.arange(n, dtype=np.uint64)) % 2
        return (1.0 - 2.0 * parity) * D / np.sqrt(m)
    if kind == "dct":
        picks = np.minimum(n - 1, (uniforms(seed, PICKS, m) * n).astype(int))
        C = scipy.fft.dct(np.eye(n), axis=0, norm="ortho")
        return np.sqrt(n / m) * C[picks] * D
    if kind == "block-hadamard":
        b = block_size(d, m)
        padded = -(-n // b) * b
        H = np.kron(np.eye(padded // b), hadamard(b)) / np.sqrt(b)
        return (sparse_map(seed, padded, m, 1) @ H)[:, :n] * D
    assert kind == "pooled"
    N = 1 << (max(n, m * max(16, d)) - 1).bit_length()
    order = np.argsort(uniforms(seed, PERMUTATION, N), kind="stable")
    G = normals(seed, POOL, 1, N)[0]
    rows = (G[:, np.newaxis] * hadamard(N)[order] / np.sqrt(N))[:, :n]
    edges = [j * N // m for j in range(m)]
    return np.add.reduceat(rows, edges, axis=0) * D


def backward_error(A: Array, b: Array, x: Array, factors: Any = None) -> float:
    """Karlson and Walden's, relative to the Frobenius norm."""
    r = b - A @ x
    norm = np.linalg.norm(A)
    theta = norm / np.linalg.norm(b)
    _, s, Vt = np.linalg.svd(A, full_matrices=False) if factors is None else factors
    scale = 1 + theta**2 * (x @ x)
    weights = np.sqrt(s**2 + theta**2 * (r @ r) / scale)
    return float(np.linalg.norm(Vt @ (A.T @ r) / weights) * theta / np.sqrt(scale) / norm)


def rows_for(d: int, eps: float, delta: float) -> int:
    """The least m for which the Gaussian formula gives eps, by search."""
    freedom = 1
    while scipy.stats.t.ppf(1 - delta / (2 * d), freedom) / np.sqrt(freedom) > eps / np.sqrt(d):
        freedom += 1
    return d + freedom - 1


def error_bars(SA: Array, Sb: Array) -> tuple[Array, Array]:
    """Solution of the sketch, and its ordinary standard errors."""
    m, d = SA.shape
    x = np.linalg.lstsq(SA, Sb, rcond=None)[0]
    variance = np.sum((Sb - SA @ x) ** 2) / (m - d)
    return x, np.sqrt(variance * np.diag(np.linalg.inv(SA.T @ SA)))


def least_norm(A: Array, b: Array, ridge: float = 0.0, rcond: float | None = None) -> Array:
    """The solution of least norm by the singular values of A over sqrt(ridge) I."""
    d = A.shape[1]
    stacked = np.vstack([A, np.sqrt(ridge) * np.eye(d)])
    rhs = np.concatenate([b, np.zeros((d, *b.shape[1:]))])
    return np.linalg.lstsq(stacked, rhs, rcond=rcond)[0]


def with_condition(rng: np.random.Generator, n: int, d: int, condition: float, residual: float) -> tuple[Array, Array]:
    """A with log-spaced singular values and b = A x + r, |x| = 1, r orthogonal to A with |r| = residual."""
    U = np.linalg.qr(rng.standard_normal((n, d)))[0]
    V = np.linalg.qr(rng.standard_normal((d, d)))[0]
    A = U * np.logspace(0, -np.log10(condition), d) @ V.T
    x = rng.standard_normal(d)
    r = rng.standard_normal(n)
    r -= U @ (U.T @ r)
    return A, A @ (x / np.linalg.norm(x)) + residual * r / np.linalg.norm(r)


def hard_instance(n: int, d: int, k: int) -> tuple[Array, Array]:
    """A = (I; 0), and b lies in k rows below, where sparse sketches let them meet rows of A."""
    A = np.zeros((n, d))
    A[:d] = np.eye(d)
    b = np.zeros(n)
    b[d : d + k] = 1 / np.sqrt(k)
    return A, b

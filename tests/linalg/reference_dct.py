"""The definition of the cosine transform, in the longest floating-point numbers there are."""

import numpy as np


def dct_matrix(n, norm=None):
    """f_k cos(pi k (2 j + 1) / (2 n)), the angle reduced in integers to a quarter turn."""
    k, j = np.arange(n)[:, np.newaxis], np.arange(n)
    quarter, rest = np.divmod(k * (2 * j + 1) % (4 * n), n)
    angle = np.arctan(np.longdouble(1)) * 2 * rest / n
    cosine, sine = np.cos(angle), np.sin(angle)
    values = np.select([quarter == 0, quarter == 1, quarter == 2], [cosine, -sine, -cosine], sine)
    orthonormal = np.sqrt(np.where(k == 0, 1, 2) / np.longdouble(n))
    return values * (2 if norm is None else orthonormal)


def dct(x, norm=None, inverse=False):
    x = np.asarray(x, np.longdouble)
    n = len(x)
    if not inverse:
        return dct_matrix(n, norm) @ x
    orthonormal = dct_matrix(n, "ortho")
    if norm is None:  # C = D Q with Q orthogonal, hence x = Q^T D^-1 y
        x = x * np.sqrt(np.where(np.arange(n) == 0, 1, 2) / np.longdouble(n))[:, np.newaxis] / 2
    return orthonormal.T @ x

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

import nearlinear as nl
from tests.linalg import reference_dct


def error_bound(n, dtype):
    """80 u log2(4 n), the largest bound of the documentation, for the relative error of an orthonormal transform."""
    return 80 * np.log2(4 * n) * np.finfo(dtype).eps / 2


def relative_errors(y, expected, norm, inverse):
    """Column by column, after scaling to the orthonormal transform; 0 for columns of zeros."""
    y, expected = np.asarray(y, np.longdouble), np.asarray(expected, np.longdouble)
    if norm is None and not inverse:
        n = len(y)
        factors = np.sqrt(np.where(np.arange(n) == 0, 1, 2) / np.longdouble(n)) / 2
        y, expected = (factors[:, np.newaxis] * a for a in (y, expected))
    norms = np.sqrt((expected**2).sum(axis=0))
    errors = np.sqrt(((y - expected) ** 2).sum(axis=0))
    return np.where(errors > 0, errors / np.where(norms > 0, norms, 1), 0)


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(100))
def test_agrees_with_the_definition(seed, dtype):
    rng = np.random.default_rng(seed)
    shape = (rng.integers(1, 130), rng.integers(1, 40))
    norm, inverse = [None, "ortho"][rng.integers(2)], bool(rng.integers(2))
    x = (rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6, size=shape[1])).astype(dtype)
    y = nl.linalg.dct(x, norm=norm, inverse=inverse)
    assert y.dtype == dtype
    assert y.shape == x.shape
    expected = reference_dct.dct(x, norm=norm, inverse=inverse)
    assert (relative_errors(y, expected, norm, inverse) <= error_bound(shape[0], dtype)).all()


@pytest.mark.parametrize("n", [1, 2, 37, 1000, 1009, 2**12, 3**7, 99991, 100000])
@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("inverse", [False, True])
def test_agrees_with_scipy(n, norm, inverse):
    x = np.random.default_rng(n).normal(size=(n, 3))
    y = nl.linalg.dct(x, norm=norm, inverse=inverse)
    peer = (scipy.fft.idct if inverse else scipy.fft.dct)(x, type=2, norm=norm, axis=0)
    assert (relative_errors(y, peer, norm, inverse) <= 2 * error_bound(n, np.float64)).all()


ADVERSARIAL = {
    "zeros": np.zeros((60, 3)),
    "negative zeros": np.full((60, 3), -0.0),
    "ones": np.ones((61, 2)),
    "alternating": np.tile([[1.0], [-1.0]], (32, 2)),
    "one huge entry": np.eye(64, 3) * 1e300,
    "one tiny entry": np.eye(64, 3) * 1e-300,
    "huge beside tiny columns": np.random.default_rng(0).normal(size=(77, 4)) * [1e150, 1e-150, 1, 1e-3],
    "full cancellation": np.tile([1e17, -1e17], (32, 3)).reshape(64, 3),
    "a small number beside large ones": np.where(np.arange(96)[:, None] == 5, 1e-8, 1e8) * np.ones((96, 2)),
    "powers of two": 2.0 ** -np.arange(90.0)[:, None] * np.ones(3),
    "a cosine of the basis": np.cos(np.pi * 7 * (2 * np.arange(50.0)[:, None] + 1) / 100) * np.ones(2),
    "unit columns": np.eye(37),
    "no columns": np.ones((4, 0)),
    "one entry": np.full((1, 1), 3.0),
    "two entries": np.array([[1.0], [2.0]]),
    "one row": np.arange(9.0)[None],
    "a vector as a column": np.arange(10.0)[:, None],
    "prime rows": np.arange(2 * 127.0).reshape(127, 2),
    "twice a prime": np.arange(74.0)[:, None],
    "square of a prime": np.arange(2 * 31.0**2).reshape(-1, 2),
    "power of five": np.arange(625.0)[:, None],
    "integers": np.arange(24).reshape(8, 3),
}


@pytest.mark.smoke
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_instance(name, inverse):
    x = ADVERSARIAL[name]
    y = nl.linalg.dct(x, norm="ortho", inverse=inverse)
    expected = reference_dct.dct(x, norm="ortho", inverse=inverse)
    assert (relative_errors(y, expected, "ortho", inverse) <= error_bound(len(x), np.float64)).all()


@settings(deadline=None, max_examples=200)
@given(
    n=st.integers(1, 300),
    cols=st.integers(1, 20),
    norm=st.sampled_from([None, "ortho"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_inverse_gives_the_input_back(n, cols, norm, seed):
    x = np.random.default_rng(seed).normal(size=(n, cols))
    y = nl.linalg.dct(nl.linalg.dct(x, norm=norm), norm=norm, inverse=True)
    assert (relative_errors(y, x, "ortho", True) <= 2 * error_bound(n, np.float64)).all()


@pytest.mark.parametrize("shape", [(2**15,), (5000, 70), (4099, 9), (333, 1000)])
def test_threads_and_company_leave_the_bits_alone(shape):
    x = np.random.default_rng(0).normal(size=shape)
    expected = nl.linalg.dct(x, n_threads=1)
    for n_threads in (2, 4):
        np.testing.assert_array_equal(nl.linalg.dct(x, n_threads=n_threads), expected)
    if len(shape) == 2:
        for j in (0, shape[1] // 2, shape[1] - 1):
            np.testing.assert_array_equal(nl.linalg.dct(x[:, j]), expected[:, j])


def test_every_instruction_set_gives_the_same_bits():
    script = (
        "import hashlib, numpy as np, nearlinear as nl;"
        "x = np.random.default_rng(0).normal(size=(2 * 3 * 5 * 7 * 16, 13));"
        "y = [nl.linalg.dct(a) for a in (x, x[:, 0], x[:1009], x.astype(np.float32))];"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in y)).hexdigest())"
    )
    hashes = {
        subprocess.check_output([sys.executable, "-c", script], env={**os.environ, "NEARLINEAR_ISA": isa})
        for isa in ("base", "v3", "v4")
    }
    assert len(hashes) == 1


def test_input_is_not_written_to_and_may_be_read_only():
    x = np.arange(20.0).reshape(10, 2)
    x.flags.writeable = False
    nl.linalg.dct(x)
    np.testing.assert_array_equal(x, np.arange(20.0).reshape(10, 2))


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_no_rows_are_an_error(shape):
    with pytest.raises(ValueError, match=r"x has shape \(.*\); it must have at least one row"):
        nl.linalg.dct(np.ones(shape))


def test_unknown_norm_is_an_error():
    with pytest.raises(ValueError, match="norm is 'forward'; it must be one of 'ortho'"):
        nl.linalg.dct(np.ones(4), norm="forward")


def test_overflow_is_an_error():
    with pytest.raises(OverflowError, match="exceeds the range of float64"):
        nl.linalg.dct(np.full(4, 1e308))


def test_non_finite_entries_stay_in_their_column_when_unchecked():
    x = np.ones((6, 2))
    x[2, 0] = np.nan
    y = nl.linalg.dct(x, check_finite=False)
    assert np.isnan(y[:, 0]).all()
    np.testing.assert_array_equal(y[:, 1], nl.linalg.dct(np.ones(6)))

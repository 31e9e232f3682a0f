"""sparse.matpow against products one by one."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import adversarial, csr, poisson, random_csr
from tests.sparse.test_matmul import assert_canonical, assert_identical


def by_squaring(A, k):
    """The bits of k from the highest on, by the textbook's product."""
    A = reference.sum_duplicates(A)
    if k == 0:
        index = A.indices.dtype
        return csr(np.ones(A.shape[0], A.dtype), np.arange(A.shape[0], dtype=index),
                   np.arange(A.shape[0] + 1, dtype=index), A.shape)  # fmt: skip
    power = A
    for bit in bin(k)[3:]:
        power = reference.matmul(power, power)
        if bit == "1":
            power = reference.matmul(power, A)
    return power


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 25))
    A = random_csr(
        rng,
        n,
        n,
        density=rng.choice([0.02, 0.1]),
        dtype=rng.choice([np.float32, np.float64]),
        index=rng.choice([np.int32, np.int64]),
        shuffled=bool(rng.integers(2)),
    )
    A.data = np.sign(A.data) * np.minimum(np.abs(A.data), 2)  # so that powers do not overflow
    k = seed % 8
    C = nl.sparse.matpow(A, k, n_threads=1 + seed % 2)
    assert_canonical(C)
    assert_identical(C, by_squaring(A, k))


SQUARE = {
    f"{name}, {which}": pair[which] for name, pair in adversarial().items() for which in (0, 1)
    if pair[which].shape[0] == pair[which].shape[1]
}  # fmt: skip


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("name", SQUARE)
def test_adversarial_instance(name):
    for k in (0, 1, 3):
        C = nl.sparse.matpow(SQUARE[name], k)
        assert_canonical(C)
        assert_identical(C, by_squaring(SQUARE[name], k))


def test_there_are_twenty_adversarial_instances():
    assert len(SQUARE) >= 20


def test_powers_of_integers_are_exact():
    A = sp.csr_array(np.array([[1, 1], [1, 0]]))
    fibonacci = [0, 1]
    for _ in range(75):
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    for k in range(1, 76):
        assert nl.sparse.matpow(A, k)[0, 1] == fibonacci[k]


def test_same_bits_on_any_number_of_threads():
    A = poisson(120)
    expected = nl.sparse.matpow(A, 5, n_threads=1)
    for n_threads in (2, 4):
        assert_identical(nl.sparse.matpow(A, 5, n_threads=n_threads), expected)
    assert abs(expected - A @ A @ A @ A @ A).max() == 0  # integers


def test_first_power_is_a_copy_in_canonical_format():
    A = csr(np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3, 3]), (2, 2))
    C = nl.sparse.matpow(A, 1)
    assert_canonical(C)
    np.testing.assert_array_equal(C.toarray(), [[2, 4], [0, 0]])
    C.data[:] = 0
    np.testing.assert_array_equal(A.data, [1, 2, 3])


def test_very_large_exponents():
    swap = sp.csr_array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(nl.sparse.matpow(swap, 2**62 + 1).toarray(), swap.toarray())
    with pytest.raises(OverflowError, match=r"k is 9223372036854775808; it must be below 2\*\*63"):
        nl.sparse.matpow(swap, 2**63)


def test_kind_and_type_are_kept():
    A = np.eye(3, dtype=np.float32)
    for k in (0, 1, 2):
        C = nl.sparse.matpow(sp.csc_matrix(A), k)
        assert isinstance(C, sp.csr_matrix)
        assert C.dtype == np.float32


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (-1, ValueError, "k is -1; it must be at least 0"),
        (0.5, TypeError, "k is 0.5; it must be an integer"),
        (None, TypeError, "k is None"),
    ],
)
def test_bad_exponents_are_refused(k, error, message):
    with pytest.raises(error, match=message):
        nl.sparse.matpow(sp.eye_array(3, format="csr"), k)


def test_matrix_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="matpow: A is 2 x 3; it must be square"):
        nl.sparse.matpow(sp.csr_array((2, 3)), 2)

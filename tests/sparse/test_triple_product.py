"""sparse.triple_product against two products, bit by bit."""

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import poisson, random_csr
from tests.sparse.test_matmul import assert_canonical, assert_identical

METHODS = ["fused", "separate", "auto"]


def in_two_steps(R, A, P, method):
    if method == "fused":
        return nl.sparse.matmul(nl.sparse.matmul(R, A), P)
    return nl.sparse.matmul(R, nl.sparse.matmul(A, P))


def aggregation(n, size=4):
    """Every `size` points of n become one."""
    return sp.csr_array((np.ones(n), np.arange(n) // size, np.arange(n + 1)), shape=(n, -(-n // size)))


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    n, k, m, p = rng.integers(1, 40, size=4).tolist()
    dtype, index = rng.choice([np.float32, np.float64]), rng.choice([np.int32, np.int64])
    shuffled = bool(rng.integers(2))
    R, A, P = (
        random_csr(rng, *shape, rng.choice([0.02, 0.1, 0.4]), dtype=dtype, index=index, shuffled=shuffled)
        for shape in [(n, k), (k, m), (m, p)]
    )
    fused = reference.matmul(reference.matmul(R, A), P)
    separate = reference.matmul(R, reference.matmul(A, P))
    for method in METHODS:
        C = nl.sparse.triple_product(R, A, P, method=method, n_threads=1 + seed % 2)
        assert_canonical(C)
        if method == "auto":
            assert np.array_equal(C.data, fused.data) or np.array_equal(C.data, separate.data)
        else:
            assert_identical(C, fused if method == "fused" else separate)


def adversarial():
    rng = np.random.default_rng(0)
    n = 60
    some = random_csr(rng, n, n, 0.1)
    full = sp.csr_array(rng.normal(size=(n, n)))
    special = some.copy()
    special.data[:4] = [np.nan, np.inf, -np.inf, 5e-324]
    eye = sp.eye_array(n, format="csr")
    row, column = sp.csr_array(np.ones((1, n))), sp.csr_array(np.ones((n, 1)))
    return {
        "no rows": (sp.csr_array((0, n)), some, some),
        "no columns": (some, some, sp.csr_array((n, 0))),
        "nothing between": (sp.csr_array((n, 0)), sp.csr_array((0, n)), some),
        "nothing at all": (sp.csr_array((0, 0)),) * 3,
        "no entries on the left": (sp.csr_array((n, n)), some, some),
        "no entries in the middle": (some, sp.csr_array((n, n)), some),
        "no entries on the right": (some, some, sp.csr_array((n, n))),
        "one by one": (sp.csr_array([[2.0]]), sp.csr_array([[3.0]]), sp.csr_array([[-5.0]])),
        "identities around": (eye, some, eye),
        "identity between": (some, eye, some),
        "all full": (full, full, full),
        "full in the middle": (some, full, some),
        "full outside": (full, some, full),
        "one row": (row, some, full),
        "one column": (full, some, column),
        "a number": (row, full, column),
        "outer product": (column, sp.csr_array([[2.0]]), row),
        "NaN, Inf and denormals": (special, special, special),
        "Galerkin, one dimension": (
            aggregation(100).T.tocsr(),
            sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100), format="csr"),
            aggregation(100),
        ),
        "Galerkin, two dimensions": (aggregation(400).T.tocsr(), poisson(20), aggregation(400)),
    }


@pytest.mark.smoke
@pytest.mark.parametrize("method", ["fused", "separate"])
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, method):
    R, A, P = adversarial()[name]
    C = nl.sparse.triple_product(R, A, P, method=method)
    assert_canonical(C)
    assert_identical(C, in_two_steps(R, A, P, method))


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_on_any_number_of_threads(method):
    A = poisson(700)  # several blocks of rows
    P = sp.csr_array(A @ aggregation(A.shape[0]))
    R = P.T.tocsr()
    expected = nl.sparse.triple_product(R, A, P, method=method, n_threads=1)
    for n_threads in (2, 4):
        assert_identical(nl.sparse.triple_product(R, A, P, method=method, n_threads=n_threads), expected)
    if method != "auto":
        assert_identical(expected, in_two_steps(R, A, P, method))


def test_error_is_within_its_bound():
    rng = np.random.default_rng(4)
    R, A, P = (random_csr(rng, 100, 100, 0.2, dtype=np.float32) for _ in range(3))
    exact = R.toarray().astype(np.longdouble) @ A.toarray() @ P.toarray()
    bound = abs(R).toarray().astype(float) @ abs(A).toarray() @ abs(P).toarray() * np.finfo(np.float32).eps / 2
    for method in METHODS:
        error = np.abs(nl.sparse.triple_product(R, A, P, method=method).toarray() - exact)
        assert (error <= 1.01 * 2 * 40 * bound).all()
        assert error.max() > 0


def test_types_and_kinds():
    eye = sp.eye_array(3, format="csr")
    assert nl.sparse.triple_product(eye.astype("f4"), eye.astype("f4"), eye.astype("f4")).dtype == np.float32
    assert nl.sparse.triple_product(eye.astype("f4"), eye, eye.astype("f4")).dtype == np.float64
    matrix = sp.csr_matrix(eye)
    assert isinstance(nl.sparse.triple_product(matrix, matrix, matrix), sp.csr_matrix)
    assert isinstance(nl.sparse.triple_product(matrix, eye.tocsc(), matrix), sp.csr_array)


def test_method_that_is_none_is_refused():
    eye = sp.eye_array(3, format="csr")
    with pytest.raises(ValueError, match="method is 'both'; it must be one of 'auto', 'fused', 'separate'"):
        nl.sparse.triple_product(eye, eye, eye, method="both")

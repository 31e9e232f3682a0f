"""sparse.gram against the definition and against sparse.matmul, bit by bit."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import adversarial, arrow, csr, random_csr, wide_row
from tests.sparse.test_matmul import LARGE, assert_canonical, assert_identical, digest

SIDES = ["right", "left"]
METHODS = ["half", "whole", "auto"]


def definition(A, side):
    A = reference.sum_duplicates(A)
    transposed = A.T.tocsr()
    transposed = csr(
        transposed.data, transposed.indices.astype(A.indices.dtype), transposed.indptr.astype(A.indptr.dtype), A.T.shape
    )
    return reference.matmul(A, transposed) if side == "right" else reference.matmul(transposed, A)


def assert_symmetric(C):
    transposed = C.T.tocsr()
    np.testing.assert_array_equal(transposed.indptr, C.indptr)
    np.testing.assert_array_equal(transposed.indices, C.indices)
    np.testing.assert_array_equal(transposed.data, C.data)


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    n, k = rng.integers(1, 60, size=2).tolist()
    A = random_csr(
        rng,
        n,
        k,
        density=rng.choice([0.01, 0.1, 0.5]),
        dtype=rng.choice([np.float32, np.float64]),
        index=rng.choice([np.int32, np.int64]),
        shuffled=bool(rng.integers(2)),
    )
    side = SIDES[seed // 3 % 2]
    C = nl.sparse.gram(A, side, method=METHODS[seed % 3], n_threads=1 + seed % 2)
    assert_canonical(C)
    assert_symmetric(C)
    assert_identical(C, definition(A, side))


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, side):
    for A in adversarial()[name]:
        C = nl.sparse.gram(A, side, method="half")
        if max(A.shape) < 10_000:
            assert_canonical(C)
            assert_identical(C, definition(A, side))
        else:  # which the definition, row by row, takes too long for
            assert_identical(C, nl.sparse.matmul(A, A.T) if side == "right" else nl.sparse.matmul(A.T, A))


LARGE_HERE = {name: LARGE[name] for name in ("random", "mesh", "full", "power law")}
LARGE_HERE["tall"] = lambda: random_csr(np.random.default_rng(5), 6000, 300, 0.01)
LARGE_HERE["arrow"] = lambda: arrow(1500)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", LARGE_HERE)
def test_has_the_bits_of_matmul_on_any_number_of_threads(name, side):
    A = LARGE_HERE[name]()
    A.sum_duplicates()
    transposed = A.T.tocsr()
    expected = nl.sparse.matmul(A, transposed) if side == "right" else nl.sparse.matmul(transposed, A)
    assert_identical(nl.sparse.gram(A, side, method="whole"), expected)
    assert_identical(nl.sparse.gram(A, side), expected)
    for n_threads in (1, 2, 3, 4, 8):
        assert_identical(nl.sparse.gram(A, side, method="half", n_threads=n_threads), expected)


def test_every_instruction_set_gives_the_same_bits():
    script = "from tests.sparse.test_gram import digests_of_all; print(digests_of_all())"
    digests = {
        subprocess.check_output([sys.executable, "-c", script], env={**os.environ, "NEARLINEAR_ISA": isa})
        for isa in ("base", "v3", "v4")
    }
    assert len(digests) == 1


def digests_of_all():
    return [digest(nl.sparse.gram(make(), method="half")) for make in LARGE_HERE.values()]


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_few_entries_among_very_many_columns(index):
    cols = 2 * 10**9 if index == np.int32 else 4 * 10**9  # a transpose of so many rows would take 16 GB
    A = sp.vstack([wide_row(1000, cols, seed) for seed in range(3)] + [wide_row(1000, cols, 1)])
    A = csr(A.data, A.indices.astype(index), A.indptr.astype(index), A.shape)
    C = nl.sparse.gram(A, method="half")
    assert_symmetric(C)
    assert C[1, 1] == C[1, 3] == C[3, 3] == (np.arange(1.0, A.indptr[2] - A.indptr[1] + 1) ** 2).sum()


@pytest.mark.parametrize("format_", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_format_does_not_matter_and_kind_is_kept(format_, kind):
    A = LARGE["mesh"]()[:40, :50].tocsr()
    C = nl.sparse.gram(getattr(sp, f"{format_}_{kind}")(A))
    assert isinstance(C, getattr(sp, f"csr_{kind}"))
    assert_identical(sp.csr_array(C), nl.sparse.gram(A))


def test_types_of_the_result():
    for given, result in [("f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("?", "f8")]:
        assert nl.sparse.gram(sp.csr_array(np.eye(3).astype(given))).dtype == result


def test_choices_that_are_none_are_refused():
    with pytest.raises(ValueError, match="method is 'lower'; it must be one of 'auto', 'half', 'whole'"):
        nl.sparse.gram(sp.csr_array(np.eye(3)), method="lower")
    with pytest.raises(ValueError, match="side is 'both'; it must be one of 'right', 'left'"):
        nl.sparse.gram(sp.csr_array(np.eye(3)), "both")

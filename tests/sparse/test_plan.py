"""sparse.MatmulPlan against sparse.matmul, bit by bit."""

import hashlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl
from tests.sparse import reference
from tests.sparse.matrices import adversarial, csr, full_first_row, random_csr, wide_row
from tests.sparse.test_matmul import LARGE, assert_canonical, assert_identical


def with_data(matrix, data):
    return csr(data, matrix.indices, matrix.indptr, matrix.shape)


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_the_definition_for_other_values(seed):
    rng = np.random.default_rng(seed)
    n, k, m = *rng.integers(1, 60, size=2).tolist(), int(rng.choice([1, 7, 64, 65, 300, 100_000]))
    dtype, index = rng.choice([np.float32, np.float64]), rng.choice([np.int32, np.int64])
    shuffled = bool(rng.integers(2))
    A = random_csr(rng, n, k, dtype=dtype, index=index, shuffled=shuffled)
    density = 0.0005 if m == 100_000 else rng.choice([0.001, 0.05, 0.3])
    B = random_csr(rng, k, m, density=density, dtype=dtype, index=index, shuffled=shuffled)
    plan = nl.sparse.MatmulPlan(A, B, store_positions=bool(seed % 3))
    for _ in range(2):
        a, b = rng.normal(size=A.nnz).astype(dtype), rng.normal(size=B.nnz).astype(dtype)
        C = plan.execute(a, b, n_threads=1 + seed % 2)
        assert_canonical(C)
        assert_identical(C, reference.matmul(with_data(A, a), with_data(B, b)))


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("store_positions", [True, False])
@pytest.mark.parametrize("name", adversarial())
def test_adversarial_instance(name, store_positions):
    A, B = adversarial()[name]
    plan = nl.sparse.MatmulPlan(A, B, store_positions=store_positions)
    expected = nl.sparse.matmul(A, B)
    C = plan.execute(A.data, B.data)
    assert_canonical(C)
    assert_identical(C, expected)
    assert plan.shape == expected.shape
    assert plan.nnz == expected.nnz
    assert plan.products == nl.sparse.estimate(A, B).products
    np.testing.assert_array_equal(plan.indptr, expected.indptr)
    np.testing.assert_array_equal(plan.indices, expected.indices)


LARGE_HERE = {**LARGE, "row cut by columns": lambda: full_first_row(700_000)}


@pytest.mark.parametrize("name", LARGE_HERE)
def test_every_way_gives_the_bits_of_matmul(name):
    A = LARGE_HERE[name]()
    expected = nl.sparse.matmul(A, A)
    for store_positions in (True, False):
        plan = nl.sparse.MatmulPlan(A, A, store_positions=store_positions, n_threads=2)
        for n_threads in (1, 2, 4):
            assert_identical(plan.execute(A.data, A.data, n_threads=n_threads), expected)


def test_every_instruction_set_gives_the_same_bits():
    script = "from tests.sparse.test_plan import digests; print(digests())"
    results = {
        subprocess.check_output([sys.executable, "-c", script], env={**os.environ, "NEARLINEAR_ISA": isa})
        for isa in ("base", "v3", "v4")
    }
    assert len(results) == 1


def digests():
    matrices = [LARGE[name]() for name in ("random", "mesh", "full")]
    results = [nl.sparse.MatmulPlan(A, A).execute(A.data, A.data) for A in matrices]
    return [hashlib.sha256(C.data.tobytes()).hexdigest()[:16] for C in results]


def test_what_happens_to_the_operands_later_does_not_matter():
    A = random_csr(np.random.default_rng(0), 50, 50, 0.1, shuffled=True)
    a = A.data.copy()
    expected = nl.sparse.matmul(A, A)
    plan = nl.sparse.MatmulPlan(A, A)
    A.indices[:] = 49
    A.indptr[1:-1] = 0
    A.data[:] = 0
    assert_identical(plan.execute(a, a), expected)


def test_values_of_the_operands_have_no_part_in_the_plan():
    A = random_csr(np.random.default_rng(1), 50, 50, 0.1)
    plan = nl.sparse.MatmulPlan(with_data(A, np.full(A.nnz, np.nan)), with_data(A, np.zeros(A.nnz)))
    assert_identical(plan.execute(A.data, A.data), nl.sparse.matmul(A, A))


@pytest.mark.parametrize("cols", [10**6, 4 * 10**9])
def test_few_entries_among_very_many_columns(cols):
    B = sp.vstack([wide_row(1000, cols, seed) for seed in range(3)])
    B = csr(B.data, B.indices.astype(np.int64), B.indptr.astype(np.int64), B.shape)
    A = csr(np.ones(6), np.tile(np.arange(3), 2), np.array([0, 3, 6]), (2, 3))
    for store_positions in (True, False):
        C = nl.sparse.MatmulPlan(A, B, store_positions=store_positions).execute(A.data, B.data)
        assert_identical(C, reference.matmul(A, B))


def test_out_holds_the_values():
    A = random_csr(np.random.default_rng(2), 50, 50, 0.1)
    plan = nl.sparse.MatmulPlan(A, A)
    out = np.empty(plan.nnz)
    C = plan.execute(A.data, A.data, out)
    assert C.data is out or np.shares_memory(C.data, out)
    np.testing.assert_array_equal(out, nl.sparse.matmul(A, A).data)


def test_pattern_is_shared_and_read_only():
    A = random_csr(np.random.default_rng(3), 50, 50, 0.1)
    plan = nl.sparse.MatmulPlan(A, A)
    C, D = plan.execute(A.data, A.data), plan.execute(-A.data, A.data)
    assert np.shares_memory(C.indices, D.indices)
    for pattern in (plan.indices, plan.indptr, C.indices, C.indptr):
        with pytest.raises(ValueError, match="read-only"):
            pattern[0] = 1
    indices = plan.indices
    expected = indices.copy()
    del plan, C, D
    np.testing.assert_array_equal(indices, expected)  # the plan lives as long as somebody reads its pattern


def test_types():
    A, B = sp.csr_array(np.eye(3, dtype=np.float32)), sp.csr_array(np.eye(3, dtype=np.float32))
    plan = nl.sparse.MatmulPlan(A, B)
    assert plan.dtype == plan.execute(A.data, B.data).dtype == np.float32
    assert plan.execute(np.ones(3, np.float16), B.data).dtype == np.float32
    assert nl.sparse.MatmulPlan(A, B.astype(np.float64)).execute(A.data, [1, 2, 3]).dtype == np.float64
    assert isinstance(nl.sparse.MatmulPlan(sp.csr_matrix(A), sp.csr_matrix(B)).execute(A.data, B.data), sp.csr_matrix)
    wide = csr(np.ones(1), np.zeros(1, np.int64), np.array([0, 1], np.int64), (1, 1))
    assert nl.sparse.MatmulPlan(wide, wide).indices.dtype == np.int64


@pytest.fixture
def plan():
    A = sp.csr_array([[1.0, 2.0], [0.0, 5.0]])
    return nl.sparse.MatmulPlan(A, A)


@pytest.mark.parametrize("name", ["A_data", "B_data"])
def test_values_that_do_not_fit_are_named(plan, name):
    def execute(values):
        return plan.execute(**{"A_data": np.ones(3), "B_data": np.ones(3), name: values})

    with pytest.raises(ValueError, match=f"{name} has 4 entries; {name[0]} of the plan has 3"):
        execute(np.ones(4))
    with pytest.raises(ValueError, match=rf"{name} has shape \(3, 1\); it must have 1 dimensions"):
        execute(np.ones((3, 1)))
    with pytest.raises(TypeError, match=f"{name} has dtype complex128"):
        execute(np.ones(3, complex))
    with pytest.raises(TypeError, match=f"{name} is a sparse array"):
        execute(sp.csr_array(np.eye(3)))
    with pytest.raises(TypeError, match=f"{name} is a masked array"):
        execute(np.ma.masked_array(np.ones(3), mask=[True, False, False]))
    single = sp.csr_array(np.eye(3, dtype=np.float32))
    arguments = {"A_data": single.data, "B_data": single.data, name: np.ones(3)}
    with pytest.raises(TypeError, match=f"{name} has dtype float64; the plan was made for float32"):
        nl.sparse.MatmulPlan(single, single).execute(**arguments)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.ones(2), ValueError, r"out has shape \(2,\); the product has 3 entries"),
        (np.ones((3, 1)), ValueError, r"out has shape \(3, 1\)"),
        (np.ones(6)[::2], ValueError, "out must be contiguous and writable"),
        (np.broadcast_to(1.0, 3), ValueError, "out must be contiguous and writable"),
        (np.ones(3, np.float32), TypeError, "out is an array of float32; it must be an ndarray of float64"),
        (np.ones(3, ">f8"), TypeError, "out is an array of >f8"),
        ([0.0, 0.0, 0.0], TypeError, "out is a list"),
    ],
)
def test_out_that_does_not_fit_is_refused(plan, out, error, message):
    with pytest.raises(error, match=message):
        plan.execute(np.ones(3), np.ones(3), out)


def test_out_may_not_overlap_the_input(plan):
    values = np.ones(5)
    with pytest.raises(ValueError, match="out overlaps A_data or B_data"):
        plan.execute(values[:3], np.ones(3), values[2:])


@pytest.mark.parametrize("name", ["A", "B"])
def test_other_formats_than_csr_are_refused(name):
    eye = sp.eye_array(3, format="csr")
    for format_ in ("csc", "coo", "bsr"):
        operands = {"A": eye, "B": eye, name: eye.asformat(format_)}
        with pytest.raises(ValueError, match=rf"MatmulPlan: {name} is in the format {format_}; pass {name}\.tocsr\(\)"):
            nl.sparse.MatmulPlan(**operands)


def test_input_is_never_written_and_need_not_be_writable(plan):
    values = np.arange(3.0)
    values.flags.writeable = False
    plan.execute(values, values)
    np.testing.assert_array_equal(values, np.arange(3.0))


def test_many_threads_execute_one_plan():
    A = LARGE["random"]()
    plan = nl.sparse.MatmulPlan(A, A)
    results = {}

    def execute(factor):
        results[factor] = [plan.execute(factor * A.data, A.data, n_threads=2).data for _ in range(3)]

    threads = [threading.Thread(target=execute, args=(factor,)) for factor in (1.0, 2.0, 4.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = nl.sparse.matmul(A, A).data
    for factor, repeated in results.items():
        for data in repeated:
            np.testing.assert_array_equal(data, factor * expected)

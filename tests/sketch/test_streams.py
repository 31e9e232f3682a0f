"""Matrices in blocks, in files, and ridge paths."""

import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from tests.sketch import reference

pytestmark = pytest.mark.filterwarnings("ignore:lstsq. A has shape")

METHODS = ("auto", "cholesky", "gram", "sketch-cg", "tsqr")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("condition", [1e2, 1e11])
def test_blocks_are_as_accurate(method: str, condition: float) -> None:
    A, b = reference.with_condition(np.random.default_rng(0), 4000, 25, condition, 1e-3)
    passes = 0

    def blocks() -> Any:
        nonlocal passes
        passes += 1
        for begin in range(0, 4000, 613):
            yield A[begin : begin + 613], b[begin : begin + 613]

    result = nl.sketch.LstsqStream(blocks).solve(method=method)
    assert reference.backward_error(A, b, result.x) < 5e-16
    assert result.success
    assert passes == result.passes
    if method in ("gram", "tsqr"):
        assert result.passes <= 5


def test_what_can_be_read_once() -> None:
    A, b = reference.with_condition(np.random.default_rng(1), 3000, 10, 1e6, 1e-2)
    result = nl.sketch.lstsq((A[i : i + 100] for i in range(0, 3000, 100)), b)
    assert result.method == "tsqr"
    assert result.passes == 1
    assert np.isnan(result.backward_error)
    np.testing.assert_allclose(result.residual_norm, 1e-2, rtol=1e-9)
    assert reference.backward_error(A, b, result.x) < 5e-16
    estimate = nl.sketch.lstsq(
        ((A[i : i + 100], b[i : i + 100]) for i in range(0, 3000, 100)), method="sketch-solve", m=200, seed=1
    )
    whole = nl.sketch.lstsq(A, b, method="sketch-solve", m=200, seed=1)
    np.testing.assert_allclose(estimate.coef_err, whole.coef_err, rtol=1e-6)
    deficient = nl.sketch.lstsq(iter([(A[:, [0, 1, 1]], b)]), ridge=0.0)
    assert deficient.rank == 2
    np.testing.assert_allclose(deficient.residual_norm, np.linalg.norm(b - A[:, [0, 1, 1]] @ deficient.x), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_files(tmp_path: pathlib.Path, dtype: Any) -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((5000, 6)).astype(dtype)
    path = tmp_path / "rows.bin"
    with open(path, "wb") as file:
        file.write(b"header--")
        rows.tofile(file)
    stream = nl.sketch.LstsqStream.from_file(path, 6, target=2, dtype=dtype, offset=8, block_rows=777)
    A, b = np.delete(rows, 2, axis=1), rows[:, 2]
    wanted = np.linalg.lstsq(A.astype(float), b.astype(float), rcond=None)[0]
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(stream.solve().x, wanted, rtol=tolerance, atol=tolerance)
    other = nl.sketch.LstsqStream.from_file(path, 6, b=b, dtype=dtype, offset=8)
    np.testing.assert_allclose(other.solve().x, [0, 0, 1, 0, 0, 0], atol=tolerance)
    mapped = np.memmap(path, dtype, "r", offset=8, shape=(5000, 6))[100:]
    np.testing.assert_allclose(
        nl.sketch.LstsqStream.from_memmap(mapped, b[100:]).solve().x, [0, 0, 1, 0, 0, 0], atol=tolerance
    )
    for options, message in [
        ({"n_cols": 7, "target": 0}, "rows of 7 numbers take"),
        ({"n_cols": 6}, "give either target"),
        ({"n_cols": 6, "target": 6}, "target is 6; it must be below"),
    ]:
        with pytest.raises(ValueError, match=message):
            nl.sketch.LstsqStream.from_file(path, dtype=dtype, offset=8, **options)
    with pytest.raises(TypeError, match=r"it must be a numpy\.memmap"):
        nl.sketch.LstsqStream.from_memmap(rows, b)


STREAM = """
import resource, sys
import numpy as np
import nearlinear as nl
path, rows = sys.argv[1], int(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = nl.sketch.LstsqStream.from_file(path, 33, target=32).solve(method=sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, result.passes, *result.x[:3])
"""


@pytest.mark.parametrize("method", ["auto", "gram"])
def test_memory_of_a_stream(tmp_path: pathlib.Path, method: str) -> None:
    """A file of 400 MB takes some windows of 16 MB and small matrices."""
    rows, path = 1_500_000, tmp_path / "rows.bin"
    rng = np.random.default_rng(3)
    x = np.arange(1.0, 33)
    with open(path, "wb") as file:
        for _ in range(15):
            A = rng.random((rows // 15, 32)) - 0.5
            np.column_stack([A, A @ x]).tofile(file)
    run = subprocess.run(
        [sys.executable, "-c", STREAM, path, str(rows), method], capture_output=True, text=True, check=True
    )
    kilobytes, passes, *start = run.stdout.split()
    assert int(kilobytes) < 150_000
    assert int(passes) <= 5
    np.testing.assert_allclose([float(value) for value in start], x[:3], rtol=1e-10)


@pytest.mark.parametrize("shape", [(200, 12), (40, 60)])
@pytest.mark.parametrize("rhs", [None, 2])
def test_ridge_path(shape: tuple[int, int], rhs: int | None) -> None:
    rng = np.random.default_rng(4)
    A = rng.standard_normal(shape) * np.exp(rng.uniform(-2, 2, shape[1]))
    b = rng.standard_normal((shape[0],) if rhs is None else (shape[0], rhs))
    weights = rng.random(shape[0]) + 0.1
    ridges = np.array([100.0, 0.5, 3.0])
    n, d = shape
    for sample_weight in (None, weights):
        roots = np.sqrt(np.ones(n) if sample_weight is None else sample_weight)
        Aw = A * roots[:, None]
        bw = (b.T * roots).T
        for matrix in (A, np.asfortranarray(A), scipy.sparse.csr_array(A)):
            path = nl.sketch.ridge_path(matrix, b, ridges, sample_weight=sample_weight)
            for number, ridge in enumerate(ridges):
                inverse = np.linalg.inv(Aw.T @ Aw + ridge * np.eye(d))
                H = Aw @ inverse @ Aw.T
                np.testing.assert_allclose(path.x[number], inverse @ Aw.T @ bw, rtol=1e-9, atol=1e-12)
                errors = ((bw - H @ bw).T / (1 - np.diag(H))).T
                np.testing.assert_allclose(path.loo_error[number], np.mean(errors**2, axis=0), rtol=1e-9)
                np.testing.assert_allclose(path.residual_norm[number], np.linalg.norm(bw - H @ bw, axis=0), rtol=1e-9)
                np.testing.assert_allclose(path.degrees_of_freedom[number], np.trace(H), rtol=1e-9)
                left_out = nl.sketch.leave_one_out(matrix, b, ridge=ridge, sample_weight=sample_weight)
                np.testing.assert_allclose(left_out, errors, rtol=1e-8, atol=1e-10)


def test_leave_one_out_by_force() -> None:
    rng = np.random.default_rng(5)
    A, b = rng.standard_normal((50, 4)), rng.standard_normal(50)
    errors = nl.sketch.leave_one_out(A, b)
    for i in range(50):
        keep = np.arange(50) != i
        assert np.isclose(errors[i], b[i] - A[i] @ np.linalg.lstsq(A[keep], b[keep], rcond=None)[0])
    alone = np.zeros((50, 5))
    alone[:, :4] = A
    alone[17, 4] = 1
    errors = nl.sketch.leave_one_out(alone, b)
    assert np.isinf(errors[17])
    assert np.all(np.isfinite(np.delete(errors, 17)))


def test_ridge_path_of_deficient_rank() -> None:
    rng = np.random.default_rng(6)
    A = rng.standard_normal((80, 5))
    A = np.hstack([A, A[:, :2]])
    b = rng.standard_normal(80)
    path = nl.sketch.ridge_path(A, b, [0.0])
    np.testing.assert_allclose(path.x[0], np.linalg.pinv(A) @ b, rtol=1e-9)
    np.testing.assert_allclose(path.degrees_of_freedom, [5], rtol=1e-12)
    assert path.best == 0

"""What a sketch says of the exact solution: standard errors, intervals, bounds."""

import pickle

import numpy as np
import pytest

import nearlinear as nl
from tests.sketch import reference


@pytest.mark.parametrize("kind", ["gaussian", "srht", "block-hadamard"])
def test_coverage_on_the_hard_instance(kind: str) -> None:
    """95 % intervals hold 92 to 97 % of the coefficients, m = 16 d, over many sketches."""
    d, m = 64, 1024
    A, b = reference.hard_instance(4096, d, 32)
    inside = []
    for seed in range(40):
        solution = nl.sketch.RowSketch(d, m, kind, seed).partial_fit(A, b).solve()
        ends = solution.conf_int(0.95)
        inside.append((ends[:, 0] <= 0) & (ends[:, 1] >= 0))  # the exact coefficients are 0
    assert 0.92 <= np.mean(inside) <= 0.97


def test_coverage_on_heavy_tails() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_t(3, (4096, 20))
    b = A @ rng.standard_normal(20) + rng.standard_t(3, 4096)
    exact = np.linalg.lstsq(A, b, rcond=None)[0]
    inside, bounded = [], []
    for seed in range(100):
        result = nl.sketch.lstsq(A, b, method="sketch-solve", m=320, seed=seed)
        ends = result.conf_int(0.95)
        inside.append((ends[:, 0] <= exact) & (exact <= ends[:, 1]))
        bounded.append(np.max(abs(result.x - exact)) <= result.linf_bound)
    assert 0.92 <= np.mean(inside) <= 0.97
    assert np.mean(bounded) >= 0.88


@pytest.mark.parametrize("rhs", [None, 3])
def test_against_the_reference(rhs: int | None) -> None:
    rng = np.random.default_rng(1)
    A = rng.standard_normal((500, 7))
    b = rng.standard_normal((500,) if rhs is None else (500, rhs))
    sketch = nl.sketch.RowSketch(7, 60, "srht", 3).partial_fit(A, b)
    solution = sketch.solve(delta=0.1)
    for c in range(rhs or 1):
        x, error = reference.error_bars(sketch.SA, sketch.Sb if rhs is None else sketch.Sb[:, c])
        column = (lambda array: array) if rhs is None else (lambda array, c=c: array[..., c])
        np.testing.assert_allclose(column(solution.x), x, rtol=1e-10)
        np.testing.assert_allclose(column(solution.coef_err), error, rtol=1e-10)
        quantile = reference.scipy.stats.t.ppf(1 - 0.1 / 14, 53)
        np.testing.assert_allclose(column(np.asarray(solution.linf_bound)), quantile * np.max(error), rtol=1e-8)
    half = reference.scipy.stats.t.ppf(0.9, 53) * solution.coef_err
    np.testing.assert_allclose(solution.conf_int(0.8)[..., 0], solution.x - half, rtol=1e-8, atol=1e-12)
    assert solution.degrees_of_freedom == 53
    assert solution.rank == 7


def test_eps_decides_the_rows() -> None:
    rng = np.random.default_rng(2)
    A, b = rng.standard_normal((20000, 8)), rng.standard_normal(20000)
    exact = np.linalg.lstsq(A, b, rcond=None)[0]
    scale = np.linalg.norm(b - A @ exact) * np.linalg.norm(np.linalg.pinv(A), 2) / np.sqrt(8)
    failures = 0
    for seed in range(40):
        result = nl.sketch.lstsq(A, b, method="sketch-solve", eps=0.7, delta=0.05, seed=seed)
        failures += np.max(abs(result.x - exact)) > 0.7 * scale
    assert failures <= 7  # more than 7 of 40 have probability 1e-3


def test_sparse_sketches_with_eps_warn() -> None:
    rng = np.random.default_rng(3)
    A, b = rng.standard_normal((2000, 4)), rng.standard_normal(2000)
    for kind in ("sjlt", "countsketch"):
        with pytest.warns(UserWarning, match="gives no l_inf guarantee"):
            nl.sketch.lstsq(A, b, method="sketch-solve", sketch=kind, eps=1, seed=0)
    with pytest.warns(UserWarning, match="can lose one of 4 directions"):
        nl.sketch.lstsq(A, b, method="sketch-solve", sketch="srht", m=8, seed=0)


def test_ridge_and_deficient_rank() -> None:
    rng = np.random.default_rng(4)
    A = rng.standard_normal((900, 5))
    b = rng.standard_normal(900)
    sketch = nl.sketch.RowSketch(5, 80, "gaussian", 0).partial_fit(A, b)
    wanted = np.linalg.solve(sketch.SA.T @ sketch.SA + 3 * np.eye(5), sketch.SA.T @ sketch.Sb)
    np.testing.assert_allclose(sketch.solve(ridge=3).x, wanted, rtol=1e-11)
    twice = nl.sketch.RowSketch(6, 80, "gaussian", 0).partial_fit(np.hstack([A, A[:, :1]]), b).solve()
    assert twice.rank == 5
    assert np.isinf(twice.coef_err).all()
    np.testing.assert_allclose(twice.x[0], twice.x[5], rtol=1e-9)


def test_pickles_and_bytes() -> None:
    rng = np.random.default_rng(5)
    sketch = nl.sketch.RowSketch(3, 20, "sjlt", 6).partial_fit(rng.standard_normal((40, 3)), rng.standard_normal(40))
    for copy in (pickle.loads(pickle.dumps(sketch)), nl.sketch.RowSketch.from_bytes(sketch.to_bytes())):
        np.testing.assert_array_equal(copy.SA, sketch.SA)
        np.testing.assert_array_equal(copy.Sb, sketch.Sb)
        assert repr(copy) == repr(sketch)
        with pytest.raises(ValueError, match="rows 10 to 39 were taken in before"):
            copy.partial_fit(np.ones((90, 3)), np.ones(90), row_offset=10)
    empty = pickle.loads(pickle.dumps(nl.sketch.RowSketch(3, 20, "sjlt", 6)))
    assert empty.rows_seen == 0
    np.testing.assert_array_equal((empty + sketch).SA, sketch.SA)
    data = sketch.to_bytes()
    for bad in (b"", data[:-1], data + b"x", data[:40] + b"\xff" * 8 + data[48:], b"\0" * len(data)):
        with pytest.raises(ValueError, match="RowSketch"):
            nl.sketch.RowSketch.from_bytes(bad)


def test_nothing_is_lost_by_bad_blocks() -> None:
    sketch = nl.sketch.RowSketch(2, 10, seed=1).partial_fit([[1.0, 2], [3, 4]], [1.0, 2])
    before = sketch.SA.copy()
    for block, rhs, offset, message in [
        ([[1.0, np.nan]], [1.0], None, "block has the entry nan"),
        ([[1.0, 2]], [np.inf], None, "rhs has the entry inf"),
        ([[1.0, 2, 3]], [1.0], None, "must have 2 columns"),
        ([[1.0, 2]], [1.0, 2], None, "must have as many rows"),
        ([[1.0, 2]], None, None, "the blocks before have 1"),
        ([[1.0, 2]], [1.0], 1, "rows 1 to 1 were taken in before"),
        ([[1.0, 2]], [1.0], -1, "row_offset is -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            sketch.partial_fit(block, rhs, row_offset=offset)
    np.testing.assert_array_equal(sketch.SA, before)
    assert sketch.rows_seen == 2


def test_merging_what_does_not_match() -> None:
    sketch = nl.sketch.RowSketch(2, 10, seed=1).partial_fit(np.ones((3, 2)))
    for other in (
        nl.sketch.RowSketch(2, 10, seed=2),
        nl.sketch.RowSketch(2, 11, seed=1),
        nl.sketch.RowSketch(3, 10, seed=1),
        nl.sketch.RowSketch(2, 10, "srht", seed=1),
    ):
        other.partial_fit(np.ones((3, other.SA.shape[1])), row_offset=50)
        with pytest.raises(ValueError, match="RowSketch: one has"):
            sketch.merge(other)
    with pytest.raises(ValueError, match="rows 0 to 2 were taken in before"):
        sketch.merge(nl.sketch.RowSketch(2, 10, seed=1).partial_fit(np.ones((3, 2))))
    with pytest.raises(ValueError, match="one sketch is float64 and the other float32"):
        sketch.merge(nl.sketch.RowSketch(2, 10, seed=1, dtype=np.float32))
    with pytest.raises(TypeError, match="other is a int"):
        sketch.merge(3)

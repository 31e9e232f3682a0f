"""What ot.sinkhorn says to bad input, and to problems that it cannot solve."""

import logging
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph

import nearlinear as nl
from tests.ot import instances

A, B, C = instances.uniform(3), instances.uniform(4), np.arange(12.0).reshape(3, 4)
X, Y = np.arange(6.0).reshape(3, 2) + 1, np.arange(8.0).reshape(4, 2)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"a": instances.uniform(4)}, "a"),
        ({"b": instances.uniform(3)}, "b"),
        ({"a": np.ones((3, 1))}, "a"),
        ({"a": changed(A, 1, np.nan)}, "a"),
        ({"b": changed(B, 1, np.inf)}, "b"),
        ({"a": changed(A, 2, -0.1)}, "a"),
        ({"b": np.zeros(4)}, "b"),
        ({"a": 2 * A}, "a"),
        ({"a": A * (1 + 1e-5)}, "a"),
        ({"a": np.full(3, 1e308), "b": np.full(4, 1e308)}, "a"),
        ({"a": []}, "a"),
        ({"C": changed(C, (1, 2), np.nan)}, "C"),
        ({"C": changed(C, (1, 2), -np.inf)}, "C"),
        ({"C": changed(C, 1, np.inf)}, "C"),
        ({"C": changed(C, (slice(None), 2), np.inf)}, "C"),
        ({"C": np.ones(3)}, "C"),
        ({"C": np.ones((0, 4))}, "C"),
        ({"C": np.ones((3, 0))}, "C"),
        ({"C": [[1.0, 2.0], [3.0]]}, "C"),
        ({"x": X}, "C"),
        ({"C": None, "x": X, "y": Y[:, :1]}, "x"),
        ({"C": None, "x": changed(X, (1, 1), np.nan), "y": Y}, "x"),
        ({"C": None, "x": X, "y": changed(Y, (1, 1), np.inf)}, "y"),
        ({"C": None, "x": X[:0], "y": Y}, "x"),
        ({"C": None, "x": X[:, 0], "y": Y}, "x"),
        ({"C": None, "x": X, "y": 0 * Y, "metric": "cosine"}, "y"),
        ({"metric": "minkowski"}, "metric"),
        ({"reg": 0}, "reg"),
        ({"reg": -1.0}, "reg"),
        ({"reg": np.nan}, "reg"),
        ({"reg": np.inf}, "reg"),
        ({"reg": 1e-320}, "reg"),
        ({"tol": 0}, "tol"),
        ({"tol": -1e-9}, "tol"),
        ({"tol": np.nan}, "tol"),
        ({"method": "newton"}, "method"),
        ({"plan": "coo"}, "plan"),
        ({"maxiter": -1}, "maxiter"),
        ({"warmstart": (A,)}, "warmstart"),
        ({"warmstart": (A, A)}, "warmstart"),
        ({"warmstart": (A, changed(B, 0, np.nan))}, "warmstart"),
        ({"dtype": np.float16}, "dtype"),
        ({"dtype": complex}, "dtype"),
        ({"sns_density": 2.0}, "sns_density"),
        ({"sns_sweeps": -1}, "sns_sweeps"),
        ({"n_threads": 0}, "n_threads"),
        ({"verbose": "loud"}, "verbose"),
    ],
    ids=str,
)
def test_bad_values_are_named(options, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        nl.ot.sinkhorn(**{"a": A, "b": B, "C": C, "reg": 0.1, **options})


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"a": A.astype(complex)}, "a"),
        ({"b": B.astype(object)}, "b"),
        ({"C": C.astype(str)}, "C"),
        ({"C": scipy.sparse.csr_array(C)}, "C"),
        ({"C": np.ma.masked_array(C, C > 3)}, "C"),
        ({"C": None}, "C"),
        ({"C": None, "x": X}, "y"),
        ({"C": None, "y": Y}, "x"),
        ({"reg": "small"}, "reg"),
        ({"reg": None}, "reg"),
        ({"tol": "small"}, "tol"),
        ({"maxiter": 1.5}, "maxiter"),
        ({"n_threads": 1.5}, "n_threads"),
        ({"callback": 3}, "callback"),
    ],
    ids=str,
)
def test_bad_types_are_named(options, name):
    with pytest.raises(TypeError, match=rf"^{name} "):
        nl.ot.sinkhorn(**{"a": A, "b": B, "C": C, "reg": 0.1, **options})


def test_sums_that_differ_by_rounding_are_accepted():
    result = nl.ot.sinkhorn(A.astype(np.float32), B, C, reg=0.1)
    assert result.success


def assert_fails_softly(result, status):
    assert not result.success
    assert result.status == status
    for array in (result.f, result.g, result.plan, result.value, result.cost, result.marginal_error):
        assert np.isfinite(array).all()


@pytest.mark.parametrize("method", ["auto", "sns", "sinkhorn"])
def test_too_few_iterations_are_a_warning(method):
    a, b, costs = instances.gauss(50)
    with pytest.warns(nl.ot.SinkhornWarning, match="largest number of iterations"):
        result = nl.ot.sinkhorn(a, b, costs, reg=1e-3, method=method, maxiter=3)
    assert_fails_softly(result, 1)
    assert result.nit == 3


def test_no_iterations_are_a_result():
    a, b, costs = instances.gauss(10)
    with pytest.warns(nl.ot.SinkhornWarning):
        result = nl.ot.sinkhorn(a, b, costs, reg=1e-3, maxiter=0)
    assert_fails_softly(result, 1)


@pytest.mark.parametrize("method", ["auto", "sinkhorn"])
def test_a_problem_without_a_plan_is_a_status(method):
    """Rows 0 and 1 may only go to column 0, which is too small: Hall's condition fails."""
    costs = np.array([[0.0, np.inf, np.inf], [0.0, np.inf, np.inf], [0.0, 1.0, 1.0]])
    with pytest.warns(nl.ot.SinkhornWarning, match="admit no plan"):
        result = nl.ot.sinkhorn(None, None, costs, reg=0.1, method=method)
    assert not result.success
    assert result.status == 4
    assert np.isfinite(result.f).all()
    assert np.isfinite(result.g).all()
    assert result.marginal_error > 0.1


@pytest.mark.parametrize("seed", range(20))
def test_forbidden_pairs_are_solved_or_proved_to_have_no_plan(seed):
    """Against a maximal flow through the pairs that are allowed."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(5, 40, size=2)
    C = rng.random((n, m))
    C[rng.random((n, m)) > 3.0 / min(n, m)] = np.inf
    C[np.arange(n), rng.integers(m, size=n)] = 0.5  # no row
    C[rng.integers(n, size=m), np.arange(m)] = 0.5  # and no column without a pair
    units = 100 * n * m
    edges = scipy.sparse.lil_array((n + m + 2, n + m + 2), dtype=np.int32)
    edges[0, 1 : n + 1], edges[n + 1 : n + m + 1, n + m + 1] = units // n, units // m
    for i, j in np.argwhere(np.isfinite(C)):
        edges[1 + i, n + 1 + j] = units
    flow = scipy.sparse.csgraph.maximum_flow(scipy.sparse.csr_array(edges), 0, n + m + 1).flow_value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nl.ot.SinkhornWarning)
        result = nl.ot.sinkhorn(None, None, C, reg=0.01, tol=1e-6)
    assert result.status == (0 if flow == units else 4)


def test_a_tolerance_beyond_the_precision_is_a_status():
    a, b, costs = instances.gauss(60)
    with pytest.warns(nl.ot.SinkhornWarning):
        result = nl.ot.sinkhorn(a, b, costs, reg=1e-4, tol=1e-300)
    assert result.marginal_error < 1e-9
    assert result.status in (1, 3)


def test_a_callback_stops():
    a, b, costs = instances.gauss(50)
    seen = []

    def stop_at_four(state):
        seen.append(state)
        return state.nit == 4

    with pytest.warns(nl.ot.SinkhornWarning, match="stopped"):
        result = nl.ot.sinkhorn(a, b, costs, reg=1e-3, callback=stop_at_four)
    assert_fails_softly(result, 2)
    assert [state.nit for state in seen] == [1, 2, 3, 4]
    assert seen == result.history


def test_what_a_callback_raises_comes_out():
    a, b, costs = instances.gauss(50)

    def fail(state):
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        nl.ot.sinkhorn(a, b, costs, reg=1e-3, callback=fail)


def test_ctrl_c_stops_a_call():
    x = np.random.default_rng(0).normal(size=(8000, 2))

    def run_for_ever():
        while True:
            nl.ot.sinkhorn(None, None, x=x, y=x + 1, reg=1e-2, plan=None)

    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_for_ever()
    assert time.monotonic() - begin < 2


def test_verbose_logs(caplog):
    with caplog.at_level(logging.INFO, logger="nearlinear"):
        nl.ot.sinkhorn(A, B, C, reg=0.1, verbose=True)
    assert "sinkhorn: 100 % done" in caplog.text

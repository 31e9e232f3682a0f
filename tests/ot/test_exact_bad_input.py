"""What ot.exact says to bad input."""

import logging
import os
import signal
import threading
import time

import numpy as np
import pytest
import scipy.sparse

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
        ({"C": changed(C, (1, 2), 1e308)}, "C"),
        ({"C": changed(C, 1, np.inf)}, "C"),
        ({"C": changed(C, (slice(None), 2), np.inf)}, "C"),
        ({"a": changed(A, 1, 0) * 1.5, "C": changed(C, (1, 2), np.nan)}, "C"),
        ({"C": np.ones(3)}, "C"),
        ({"C": np.ones((0, 4))}, "C"),
        ({"C": np.ones((3, 0))}, "C"),
        ({"C": [[1.0, 2.0], [3.0]]}, "C"),
        ({"x": X}, "C"),
        ({"C": None, "x": X, "y": Y[:, :1]}, "x"),
        ({"C": None, "x": changed(X, (1, 1), np.nan), "y": Y}, "x"),
        ({"C": None, "x": X, "y": 0 * Y, "metric": "cosine"}, "y"),
        ({"metric": "minkowski"}, "metric"),
        ({"maxiter": -1}, "maxiter"),
        ({"warmstart": (A,)}, "warmstart"),
        ({"warmstart": (A, A)}, "warmstart"),
        ({"warmstart": (A, changed(B, 0, np.nan))}, "warmstart"),
        ({"dtype": np.float16}, "dtype"),
        ({"n_threads": 0}, "n_threads"),
        ({"verbose": "loud"}, "verbose"),
    ],
    ids=str,
)
def test_bad_values_are_named(options, name):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        nl.ot.exact(**{"a": A, "b": B, "C": C, **options})


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
        ({"maxiter": 1.5}, "maxiter"),
        ({"n_threads": 1.5}, "n_threads"),
        ({"callback": 3}, "callback"),
    ],
    ids=str,
)
def test_bad_types_are_named(options, name):
    with pytest.raises(TypeError, match=rf"^{name} "):
        nl.ot.exact(**{"a": A, "b": B, "C": C, **options})


def test_pairs_of_no_mass_may_be_all_that_is_allowed():
    """Row 0 may only go where nothing is wanted: no error, but a problem without a plan."""
    costs = changed(C, (0, slice(1, 4)), np.inf)
    with pytest.warns(nl.ot.ExactWarning, match="infeasible"):
        result = nl.ot.exact(A, [0, 0.5, 0.25, 0.25], costs)
    assert result.status == 3
    assert result.plan.sum() == pytest.approx(2 / 3)


def test_ctrl_c_stops_a_call():
    x = np.random.default_rng(0).normal(size=(3000, 2))

    def run_for_ever():
        while True:
            nl.ot.exact(None, None, x=x, y=x + 1)

    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_for_ever()
    assert time.monotonic() - begin < 2


def test_verbose_logs(caplog):
    with caplog.at_level(logging.INFO, logger="nearlinear"):
        nl.ot.exact(A, B, C, verbose=True)
    assert "exact: 100 % done" in caplog.text

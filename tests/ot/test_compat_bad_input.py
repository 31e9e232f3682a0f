"""What ot.compat says to bad input, and to problems that it cannot solve."""

import inspect
import logging

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl
from nearlinear.ot import compat
from tests.ot.pot import X_S, X_T, A, B, M


def calls(**options):
    """A call of every function with these options."""
    iterations = options.pop("iterations", None)
    for name in compat.__all__:
        function = getattr(compat, name)
        if not inspect.isfunction(function):
            continue
        keywords = dict(options)
        if iterations is not None:
            keywords["numIterMax" if "empirical" in name else "numItermax"] = iterations
        if name.startswith("smooth"):
            keywords["reg_type"] = "kl"
        if name == "sinkhorn2":
            keywords.setdefault("warn", True)
        points = (X_S, X_T) if "empirical" in name else (A, B, M)
        yield lambda function=function, points=points, keywords=keywords: function(*points, 0.05, **keywords)


def test_too_few_iterations_are_a_warning():
    for call in calls(iterations=1):
        with pytest.warns(nl.ot.SinkhornWarning, match=r"^Sinkhorn did not converge: .*numIter[mM]ax") as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}


def test_a_problem_without_a_plan_is_a_warning():
    """Rows 0 and 1 may only go to column 0, which is too small."""
    costs = np.array([[0.0, np.inf, np.inf], [0.0, np.inf, np.inf], [0.0, 1.0, 1.0]])
    with pytest.warns(nl.ot.SinkhornWarning, match="^Sinkhorn did not converge: ") as caught:
        compat.sinkhorn([], [], costs, 0.1, numItermax=300)
    assert "C" not in str(caught[0].message).split()


def test_no_iterations_are_a_warning():
    for call in calls(iterations=0):
        with pytest.warns(nl.ot.SinkhornWarning):
            call()
    with pytest.warns(nl.ot.SinkhornWarning):
        plan, log = compat.sinkhorn(A, B, M, 0.05, numItermax=0, log=True)
    assert np.isfinite(plan).all()
    assert log["err"][-1] > 0


def test_warnings_can_be_turned_off():
    compat.sinkhorn(A, B, M, 0.05, numItermax=1, warn=False)
    compat.sinkhorn2(A, B, M, 0.05, numItermax=1)
    compat.empirical_sinkhorn(X_S, X_T, 0.05, numIterMax=1, warn=False)
    compat.empirical_sinkhorn2(X_S, X_T, 0.05, numIterMax=1, warn=False)
    compat.empirical_sinkhorn_divergence(X_S, X_T, 0.05, numIterMax=1, warn=False)


def test_nothing_is_printed(capfd, caplog):
    for call in calls():
        call()
    with caplog.at_level(logging.INFO, logger="nearlinear"):
        for call in calls(verbose=True):
            call()
    assert capfd.readouterr() == ("", "")
    assert "sinkhorn: 100 % done" in caplog.text


def test_inputs_stay_as_they_are():
    arrays = [A.copy(), B.copy(), M.copy(), X_S.copy(), X_T.copy()]
    start = (np.zeros(3), np.zeros(4))
    for array in (A, B, M, X_S, X_T, *start):
        array.flags.writeable = False
    try:
        for call in calls():
            call()
        compat.sinkhorn(A, B, M, 0.5, warmstart=start)
        compat.sinkhorn(A, B, M, 0.5, method="sinkhorn_stabilized", warmstart=start)
    finally:
        for array in (A, B, M, X_S, X_T):
            array.flags.writeable = True
    for before, after in zip(arrays, (A, B, M, X_S, X_T), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not any(part.any() for part in start)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


COLUMNS = np.stack([B, B], axis=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"M": np.ones((3, 3))}, r"^b has shape \(4,\); it must have shape \(3,\)"),
        ({"M": changed(M, (1, 2), np.nan)}, r"^M has the entry nan at index \(1, 2\)"),
        ({"M": changed(M, (1, 2), -np.inf)}, r"^M has the entry -inf"),
        ({"M": changed(M, 1, np.inf)}, "^M forbids all pairs of row 1"),
        ({"M": M[0]}, "^M has shape"),
        ({"M": M[:0], "a": []}, "^M has shape"),
        ({"M": [[1.0], [2.0, 3.0]]}, "^M is not an array"),
        ({"a": B}, r"^a has shape \(4,\)"),
        ({"a": A[:, None]}, "^a has shape"),
        ({"a": changed(A, 1, -0.1)}, "^a has the entry -0.1 at index 1"),
        ({"a": 0 * A}, "^a has no mass"),
        ({"a": 2 * A}, "^a sums to 2.0 and b to 1.0; the sums must be equal$"),
        ({"a": np.full(3, 1e308)}, "^the sum of a is inf"),
        ({"b": changed(B, 1, np.nan)}, "^b has the entry nan"),
        ({"b": changed(COLUMNS, (2, 1), np.nan)}, r"^b has the entry nan at index \(2, 1\)"),
        ({"b": changed(COLUMNS, (2, 1), -1)}, r"^b\[:, 1\] has the entry -1.0 at index 2"),
        ({"b": COLUMNS * [1, 2]}, r"^a sums to 1.0 and b\[:, 1\] to 2.0"),
        ({"b": COLUMNS[:, :0]}, r"^b has shape \(4, 0\); it must have columns"),
        ({"b": COLUMNS[:3]}, r"^b\[:, 0\] has shape \(3,\)"),
        ({"b": COLUMNS[None]}, "^b has shape"),
        ({"reg": 0}, "^reg is 0.0"),
        ({"reg": -1}, "^reg is -1.0"),
        ({"reg": np.nan}, "^reg is nan"),
        ({"method": "newton"}, "^method is 'newton'; it must be one of 'sinkhorn'"),
        ({"numItermax": -1}, "^numItermax is -1"),
        ({"stopThr": -1e-9}, "^stopThr is -1e-09"),
        ({"stopThr": np.nan}, "^stopThr is nan"),
        ({"warmstart": A}, "^warmstart must be a pair"),
        ({"warmstart": 3}, "^warmstart must be a pair"),
        ({"warmstart": (B, B)}, r"^warmstart\[0\] has shape \(4,\); it must have shape \(3,\)"),
        ({"warmstart": (A, A)}, r"^warmstart\[1\] has shape \(3,\)"),
        ({"warmstart": (A, changed(B, 0, -np.inf))}, r"^warmstart\[1\] has the entry -inf at index \(0,\)"),
        ({"warmstart": (A[:, None], B)}, r"^warmstart\[0\] has shape \(3, 1\)"),
        ({"b": COLUMNS, "warmstart": (A, np.ones((4, 3)))}, r"^warmstart\[1\] has shape \(4, 3\); .* 2 columns"),
        ({"b": COLUMNS, "warmstart": [(A, B)], "method": "sinkhorn_log"}, "^warmstart has 1 pairs"),
    ],
    ids=str,
)
def test_bad_values_are_named_as_pot_does(options, message):
    for function in (compat.sinkhorn, compat.sinkhorn2):
        with pytest.raises(ValueError, match=message):
            function(**{"a": A, "b": B, "M": M, "reg": 0.5, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"M": M.astype(complex)}, "^M has dtype complex128"),
        ({"M": scipy.sparse.csr_array(M)}, "^M is a sparse array"),
        ({"M": np.ma.masked_array(M, M > 3)}, "^M is a masked array"),
        ({"M": None}, "^M has dtype object"),
        ({"a": A.astype(str)}, "^a has dtype"),
        ({"reg": "small"}, "^reg is 'small'"),
        ({"stopThr": "small"}, "^stopThr is 'small'"),
        ({"numItermax": 1.5}, "^numItermax is 1.5"),
        ({"warmstart": (A.astype(complex), B)}, r"^warmstart\[0\] has dtype"),
        ({"numIterMax": 10}, "unexpected keyword argument 'numIterMax'"),
    ],
    ids=str,
)
def test_bad_types_are_named_as_pot_does(options, message):
    for function in (compat.sinkhorn, compat.sinkhorn2):
        with pytest.raises(TypeError, match=message):
            function(**{"a": A, "b": B, "M": M, "reg": 0.5, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"X_s": X_S[:, :1]}, ValueError, r"^X_s has shape \(3, 1\) and X_t has shape \(4, 2\)"),
        ({"X_s": X_S[:, :1], "metric": "chebyshev"}, ValueError, r"X_s \(3, 1\) and X_t \(4, 2\)"),
        ({"X_t": changed(X_T, (1, 1), np.inf)}, ValueError, r"^X_t has the entry inf at index \(1, 1\)"),
        ({"X_t": 0 * X_T, "metric": "cosine"}, ValueError, "^X_t has a point that is zero"),
        ({"X_t": 0 * X_T, "metric": "correlation"}, ValueError, "^the matrix of distances by metric 'correlation' has"),
        ({"X_s": X_S[:, 0]}, ValueError, "^X_s has shape"),
        ({"X_s": X_S[:0]}, ValueError, "^X_s has shape"),
        ({"X_s": None}, TypeError, "^X_s has dtype object"),
        ({"metric": "manhattan-ish"}, ValueError, "^metric is 'manhattan-ish'"),
        ({"a": B}, ValueError, r"^a has shape \(4,\)"),
        ({"reg": -1}, ValueError, "^reg is -1.0"),
        ({"stopThr": -1}, ValueError, "^stopThr is -1"),
        ({"numIterMax": -1}, ValueError, "^numIterMax is -1"),
        ({"warmstart": 3}, ValueError, "^warmstart must be a pair"),
        ({"warmstart": (A, A)}, ValueError, r"^warmstart\[1\] has shape \(3,\)"),
        ({"method": "newton"}, ValueError, "^method is 'newton'"),
        ({"numItermax": 10}, TypeError, "unexpected keyword argument 'numItermax'"),
    ],
    ids=str,
)
def test_bad_points_are_named_as_pot_does(options, error, message):
    for function in (compat.empirical_sinkhorn, compat.empirical_sinkhorn2, compat.empirical_sinkhorn_divergence):
        with pytest.raises(error, match=message):
            function(**{"X_s": X_S, "X_t": X_T, "reg": 0.5, **options})


def test_a_matrix_b_is_an_error_where_one_plan_is_returned():
    for call in (
        lambda: compat.empirical_sinkhorn(X_S, X_T, 0.5, b=COLUMNS, isLazy=True),
        lambda: compat.empirical_sinkhorn_divergence(X_S, X_T, 0.5, b=COLUMNS),
        lambda: compat.smooth_ot_dual(A, COLUMNS, M, 0.5, "kl"),
        lambda: compat.smooth_ot_semi_dual(A, COLUMNS, M, 0.5, "kl"),
    ):
        with pytest.raises(ValueError, match=r"^b has shape \(4, 2\)"):
            call()


def test_the_options_of_pots_algorithms_have_no_effect():
    plan = compat.sinkhorn(A, B, M, 0.5)
    for options in ({"tau": 10.0}, {"epsilon0": 1e3, "numInnerItermax": 10}, {"print_period": 1}):
        np.testing.assert_array_equal(compat.sinkhorn(A, B, M, 0.5, **options), plan)

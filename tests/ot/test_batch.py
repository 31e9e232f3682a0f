"""ot.sinkhorn_batch: what sinkhorn finds, many times."""

import numpy as np
import pytest

import nearlinear as nl
from tests.ot import instances, reference


@pytest.mark.smoke
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 13])
def test_results_are_those_of_single_calls(count, n_threads):
    rng = np.random.default_rng(count)
    A, B = rng.dirichlet(np.ones(20), size=count), rng.dirichlet(np.ones(15), size=count)
    C = rng.random((20, 15))
    results = nl.ot.sinkhorn_batch(A, B, C, reg=0.02, n_threads=n_threads)
    assert len(results) == count
    assert results.success
    for k, result in enumerate(results):
        single = nl.ot.sinkhorn(A[k], B[k], C, reg=0.02)
        assert (result.f == single.f).all()
        assert (result.g == single.g).all()
        assert result.value == single.value == results.value[k]
        assert result.cost == results.cost[k]
        assert result.nit == results.nit[k] == single.nit
        np.testing.assert_array_equal(result.plan, single.plan)
    assert results.f.shape == (count, 20)
    assert results.g.shape == (count, 15)


def test_one_cost_for_each_problem_and_shared_masses():
    rng = np.random.default_rng(0)
    C = rng.random((4, 6, 5))
    results = nl.ot.sinkhorn_batch(None, rng.dirichlet(np.ones(5)), C, reg=0.1)
    for k, result in enumerate(results):
        b = results[0].plan.sum(axis=0)
        np.testing.assert_allclose(result.plan, nl.ot.sinkhorn(None, b, C[k], reg=0.1).plan, atol=1e-8)


def test_ragged_lists():
    rng = np.random.default_rng(1)
    sizes = [(3, 9), (20, 4), (1, 1)]
    A, B = [rng.dirichlet(np.ones(n)) for n, _ in sizes], [rng.dirichlet(np.ones(m)) for _, m in sizes]
    C = [rng.random(shape) for shape in sizes]
    results = nl.ot.sinkhorn_batch(A, B, C, reg=0.05)
    assert [f.size for f in results.f] == [3, 20, 1]
    for k, result in enumerate(results):
        P = reference.solve(A[k], B[k], C[k], 0.05)
        np.testing.assert_allclose(result.plan, reference.plan(P.f, P.g, C[k], 0.05), atol=1e-9)


def test_points_soft_marginals_and_slices():
    rng = np.random.default_rng(2)
    x, y = rng.random((3, 30, 2)), rng.random((40, 2))
    results = nl.ot.sinkhorn_batch(None, None, x=x, y=y, reg=0.05, reg_marginals=1.0)
    for k, result in enumerate(results[1:], start=1):
        single = nl.ot.sinkhorn(None, None, x=x[k], y=y, reg=0.05, reg_marginals=1.0)
        assert result.value == single.value
        assert result.reg_marginals == (1.0, 1.0)
    assert results[-1].value == results.value[2]
    with pytest.raises(IndexError):
        results[3]
    assert "3 problems, 3 of them converged" in repr(results)


def test_float32_costs():
    rng = np.random.default_rng(3)
    C = rng.random((2, 8, 8)).astype(np.float32)
    results = nl.ot.sinkhorn_batch(None, None, C, reg=0.1)
    assert results[0].plan.dtype == np.float32
    assert results.value[1] == nl.ot.sinkhorn(None, None, C[1], reg=0.1).value
    mixed = nl.ot.sinkhorn_batch(None, None, [C[0], C[1].astype(float)], reg=0.1)
    assert mixed.value[0] == pytest.approx(results.value[0], rel=1e-12)


def test_a_problem_that_does_not_converge_is_a_warning():
    a, b, C = instances.random_assignment(50)
    with pytest.warns(nl.ot.SinkhornWarning, match="1 of 2 problems, the first of them number 1"):
        results = nl.ot.sinkhorn_batch([a, a], [a, b], [0 * C, C], reg=1e-3, maxiter=3)
    assert not results.success
    assert list(results.status) == [0, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.ones((2, 3)), np.ones((3, 3)), np.ones((3, 3))), "A has 2, B has 3 problems"),
        ((np.ones(3), np.ones(3), np.ones((3, 3))), "use sinkhorn"),
        (([[1, 1], [3, -1]], np.ones((2, 2)), np.ones((2, 2))), "problem 1: A has the entry -1"),
        (([[1, 1], [1, 3]], np.ones((2, 2)), np.ones((2, 2))), "problem 1: a sums to"),
        (([[1, 1], [1, 1]], None, np.ones((3, 2))), r"problem 0: A has shape \(2,\)"),
        ((None, None, [np.ones((2, 2)), np.full((2, 2), np.nan)]), "problem 1: C has the entry nan"),
    ],
)
def test_bad_input_names_the_problem(given, message):
    with pytest.raises(ValueError, match=message):
        nl.ot.sinkhorn_batch(*given, reg=0.1)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="reg is"):
        nl.ot.sinkhorn_batch(np.ones((2, 3)), np.ones(3), np.ones((3, 3)), reg=0)


def test_a_callback_stops_a_batch():
    C = np.random.default_rng(0).random((40, 300, 300))
    for n_threads in (1, 2):
        with pytest.raises(nl.Interrupted):
            nl.ot.sinkhorn_batch(None, None, C, reg=1e-4, n_threads=n_threads, callback=lambda _: True)

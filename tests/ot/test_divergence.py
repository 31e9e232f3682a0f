"""ot.sinkhorn_divergence against its definition."""

import numpy as np
import pytest

import nearlinear as nl
from tests.ot import reference


def kl_value(a, b, C, reg):
    """min <C, P> + reg KL(P | a b^T) by the reference."""
    solution = reference.solve(a, b, C, reg)
    P = reference.plan(solution.f, solution.g, C, reg)
    return reference.cost(P, C) + reg * reference.kl(P, np.outer(a, b))


@pytest.mark.smoke
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine"])
@pytest.mark.parametrize("reg", [1.0, 0.05])
def test_it_is_its_definition_with_relative_entropy(metric, reg):
    rng = np.random.default_rng(0)
    x, y, a, b = rng.random((20, 3)), rng.random((15, 3)) + 0.3, rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(15))
    cost = reference.COSTS[metric]
    expected = (
        kl_value(a, b, cost(x, y), reg) - kl_value(a, a, cost(x, x), reg) / 2 - kl_value(b, b, cost(y, y), reg) / 2
    )
    result = nl.ot.sinkhorn_divergence(x, y, reg, a=a, b=b, metric=metric, tol=1e-12)
    assert result.success
    assert result.value == pytest.approx(expected, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_not_negative_and_zero_for_equal_clouds(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, 2))
    assert nl.ot.sinkhorn_divergence(x, x, 0.1).value == 0
    near = x + 0.01 * rng.normal(size=x.shape)
    assert 0 < nl.ot.sinkhorn_divergence(x, near, 0.1, tol=1e-12).value < 0.01
    assert nl.ot.sinkhorn_divergence(x, near + 1, 0.1).value > 1
    permuted = nl.ot.sinkhorn_divergence(x, rng.permutation(x), 0.1, tol=1e-12)
    assert permuted.value == pytest.approx(0, abs=1e-11)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
def test_gradient_by_finite_differences(metric):
    rng = np.random.default_rng(1)
    x, y, a, b = rng.random((9, 2)) + 0.1, rng.random((7, 2)) + 0.1, rng.dirichlet(np.ones(9)), np.full(7, 1 / 7)

    def value(x, y, a):
        return nl.ot.sinkhorn_divergence(x, y, 0.1, a=a, b=b, metric=metric, tol=1e-13).value

    gradient = nl.ot.sinkhorn_divergence(x, y, 0.1, a=a, b=b, metric=metric, tol=1e-13).grad()
    given, h = (x, y, a), 1e-6
    for k, derivative in enumerate((gradient.dx, gradient.dy, gradient.da)):
        direction = rng.normal(size=given[k].shape)
        direction -= direction.mean() if k == 2 else 0
        ahead, behind = (
            value(*(part + (sign * h * direction if i == k else 0) for i, part in enumerate(given))) for sign in (1, -1)
        )
        assert (ahead - behind) / (2 * h) == pytest.approx((derivative * direction).sum(), rel=2e-5)


def test_bad_input_is_named():
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="reg is 0"):
        nl.ot.sinkhorn_divergence(x, x, 0)
    with pytest.raises(ValueError, match="as many columns"):
        nl.ot.sinkhorn_divergence(x, np.ones((3, 3)), 1)
    with pytest.raises(ValueError, match="b has shape"):
        nl.ot.sinkhorn_divergence(x, x, 1, b=[1.0])
    assert float(nl.ot.sinkhorn_divergence(x, x, 1)) == 0
    text = repr(nl.ot.sinkhorn_divergence(x, x, 1))
    assert "value: 0.0" in text
    assert "xy" not in text

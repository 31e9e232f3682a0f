"""The optimiser for PyTorch, against the paper's dynamic algorithm in float64."""

import copy

import numpy as np
import pytest

from tests.fisher import reference

torch = pytest.importorskip("torch")

from nearlinear.torch import MFAC  # noqa: E402  # needs torch


def problem(seed, dtype=torch.float64):
    """Return parameters of several shapes and a function that makes their gradients, noisy and not a bit convex."""
    generator = torch.Generator().manual_seed(seed)
    params = [torch.randn(shape, generator=generator, dtype=dtype, requires_grad=True) for shape in ((4, 3), (5,), ())]

    def closure():
        for p in params:
            p.grad = None
        noise = torch.randn(3, generator=generator, dtype=dtype)
        loss = sum((torch.sin(p) * n + 0.1 * p * p).sum() for p, n in zip(params, noise, strict=True))
        loss.backward()
        return loss

    return params, closure


def flat(tensors):
    return np.concatenate([t.detach().numpy().ravel() for t in tensors])


@pytest.mark.parametrize("decay", [0.0, 1e-3])
def test_fifty_steps_are_those_of_the_paper(decay):
    params, closure = problem(0)
    ours = MFAC(params, lr=1e-3, momentum=0.9, weight_decay=decay, n_grads=16, damping=1e-4)
    ring = np.zeros((16, 18))
    p, v = flat(params), np.zeros(18)
    for step in range(50):
        closure()
        g = flat([q.grad for q in params]) + decay * p
        ring[step % 16] = g
        D, B = reference.dynamic_recurrence(ring, 1e-4, 16)
        v = 0.9 * v + 0.1 * reference.dynamic_product(ring, D, B, g, damping=1e-4, M=16)
        p = p - 1e-3 * v
        ours.step()
        assert np.linalg.norm(flat(params) - p) <= 1e-10 * np.linalg.norm(p)


def test_training_goes_on_from_a_checkpoint_with_the_same_bits():
    params, closure = problem(1, torch.float32)
    ours = MFAC(params, lr=1e-2, momentum=0.5, n_grads=5, damping=1e-3)
    for _ in range(8):
        ours.step(closure)
    weights, state = [p.detach().clone() for p in params], copy.deepcopy(ours.state_dict())
    again, _ = problem(2, torch.float32)
    with torch.no_grad():
        for p, w in zip(again, weights, strict=True):
            p.copy_(w)
    other = MFAC(again, lr=1e-2, momentum=0.5, n_grads=5, damping=1e-3)
    other.load_state_dict(state)
    for _ in range(4):
        closure()
        for p, q in zip(params, again, strict=True):
            q.grad = p.grad.clone()
        ours.step()
        other.step()
        assert all(torch.equal(p, q) for p, q in zip(params, again, strict=True))


def test_a_missing_gradient_counts_as_zero():
    params, closure = problem(3)
    ours = MFAC(params, n_grads=4)
    closure()
    params[1].grad = None
    before = params[1].detach().clone()
    ours.step()
    assert torch.equal(params[1], before)


def test_heavy_ball_and_decoupled_decay():
    params, closure = problem(4)
    ours = MFAC(
        params, lr=0.1, momentum=0.5, weight_decay=0.2, n_grads=3, damping=1.0, momentum_style="heavy_ball",
        decoupled_weight_decay=True, normalize="count",
    )  # fmt: skip
    p, v, gradients = flat(params), np.zeros(18), []
    for _ in range(5):
        closure()
        g = flat([q.grad for q in params])
        gradients = [*gradients, g][-3:]
        G = np.array(gradients)
        v = 0.5 * v + np.linalg.solve(np.eye(18) + G.T @ G / len(gradients), g)
        p = p * (1 - 0.1 * 0.2) - 0.1 * v
        ours.step()
    assert np.allclose(flat(params), p, rtol=1e-12)


def test_bad_input_is_named():
    params, closure = problem(5)
    with pytest.raises(ValueError, match="lr is -1"):
        MFAC(params, lr=-1)
    with pytest.raises(ValueError, match="momentum is 1; it must be at least 0 and below 1"):
        MFAC(params, momentum=1)
    with pytest.raises(ValueError, match="momentum_style is 'nesterov'"):
        MFAC(params, momentum_style="nesterov")
    with pytest.raises(ValueError, match="params are"):
        MFAC([torch.zeros(2, dtype=torch.float16, requires_grad=True)])
    ours = MFAC(params, n_grads=2)
    closure()
    params[0].grad[1, 1] = float("nan")
    before = flat(params)
    with pytest.raises(ValueError, match="all entries must be finite"):
        ours.step()
    assert np.array_equal(flat(params), before)
    assert ours.window.n_stored == 0
    with pytest.raises(ValueError, match="no 'window'"):
        ours.load_state_dict({"state": {}, "param_groups": []})

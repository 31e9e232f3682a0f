"""Pruning of a real network: the one of the demo, which reads digits, at three seeds."""

import numpy as np
import pytest

import nearlinear as nl
from nearlinear.demo.fisher import DAMPING, Digits

SEEDS = range(3)


@pytest.fixture(scope="module")
def networks():
    return [Digits(seed) for seed in SEEDS]


def mean_accuracy(networks, prune):
    return np.mean([digits.accuracy(prune(digits)) for digits in networks])


def test_networks_read_digits(networks):
    assert mean_accuracy(networks, lambda digits: digits.w) > 0.94


def test_gradients_are_derivatives_of_the_loss():
    digits = Digits(0)
    network, (X, y) = digits.network, digits.test
    X, y = X[:3], y[:3]

    def losses(w):
        outputs = network.outputs(w, X)
        return np.log(np.exp(outputs).sum(axis=1)) - outputs[np.arange(3), y]

    gradients = network.gradients(digits.w, X, y)
    rng = np.random.default_rng(0)
    for _ in range(5):
        direction = rng.normal(size=digits.w.size)
        slope = (losses(digits.w + 1e-6 * direction) - losses(digits.w - 1e-6 * direction)) / 2e-6
        np.testing.assert_allclose(gradients @ direction, slope, rtol=1e-5, atol=1e-7)


def test_joint_pruning_beats_magnitude_at_80_percent(networks):
    joint = mean_accuracy(networks, lambda digits: digits.prune(0.8))
    assert joint >= mean_accuracy(networks, lambda digits: digits.without_smallest(0.8)) + 0.10


def test_recomputed_pruning_beats_magnitude_at_90_percent(networks):
    recomputed = mean_accuracy(networks, lambda digits: digits.prune(0.9, rounds=8))
    assert recomputed >= mean_accuracy(networks, lambda digits: digits.without_smallest(0.9)) + 0.35


def test_no_step_is_better_than_the_joint_one(networks):
    digits = networks[0]
    finv = nl.fisher.FisherInverse(digits.gradients(digits.w), DAMPING)
    saliency = nl.fisher.obs_saliency(digits.w, finv)
    pruned = np.argsort(saliency)[: round(0.8 * digits.w.size)]
    joint = nl.fisher.obs_update(digits.w, finv, pruned)
    independent = nl.fisher.obs_update(digits.w, finv, pruned, "independent")
    assert 0 < joint.loss_increase < independent.loss_increase
    np.testing.assert_allclose(joint.step @ finv.fisher_matvec(joint.step) / 2, joint.loss_increase, rtol=1e-8)
    assert (joint.w[pruned] == 0).all()
    assert (independent.w[pruned] == 0).all()


@pytest.mark.parametrize("method", ["joint", "independent"])
def test_every_round_prunes_the_same_share_of_what_is_left(networks, method):
    digits = networks[1]
    seen = []

    def recompute(w):
        seen.append(w.copy())
        gradients = digits.gradients(w)
        gradients[:, w == 0] = 1e3  # of no importance
        w[:] = np.nan  # a copy
        return gradients

    grads = digits.gradients(digits.w)
    options = {"damping": DAMPING, "n_recompute": 3, "method": method}
    result = nl.fisher.obs_prune(digits.w, grads, 0.9, recompute=recompute, **options)
    d = digits.w.size
    assert [np.count_nonzero(w) for w in seen] == [d - round((1 - 0.1 ** (t / 3)) * d) for t in (1, 2)]
    for before, after in zip(seen, [*seen[1:], result.w], strict=True):
        assert not after[before == 0].any()  # what is pruned stays pruned
    np.testing.assert_array_equal(result.mask, result.w != 0)
    assert result.sparsity == round(0.9 * d) / d
    plain = nl.fisher.obs_prune(digits.w, None, 0.9, recompute=digits.gradients, **options)
    np.testing.assert_array_equal(result.w, plain.w)
    assert result.loss_increase == plain.loss_increase


@pytest.mark.parametrize("method", ["joint", "independent"])
def test_groups_are_pruned_as_a_whole(networks, method):
    digits = networks[2]
    d = digits.w.size
    groups = np.arange(64 * 64).reshape(-1, 4)  # of the first layer, without its bias
    result = nl.fisher.obs_prune(
        digits.w,
        digits.gradients(digits.w),
        0.5,
        damping=DAMPING,
        groups=groups,
        recompute=digits.gradients,
        n_recompute=2,
        method=method,
    )
    kept = result.mask[groups]
    np.testing.assert_array_equal(kept.any(axis=1), kept.all(axis=1))
    assert np.count_nonzero(~kept.any(axis=1)) == round(0.5 * d / 4)
    assert result.mask[64 * 64 :].all()
    assert digits.accuracy(result.w) > 0.85
    with pytest.raises(ValueError, match=r"sparsity is 0\.9, which takes 1478 groups of 4 weights"):
        nl.fisher.obs_prune(digits.w, digits.gradients(digits.w), 0.9, groups=groups)


def test_blocks_make_a_model_of_their_own(networks):
    blocks = mean_accuracy(networks, lambda digits: pruned_by_blocks(digits, 128))
    assert blocks >= mean_accuracy(networks, lambda digits: digits.without_smallest(0.8)) + 0.08


def pruned_by_blocks(digits, block_size):
    grads = digits.gradients(digits.w)
    return nl.fisher.obs_prune(digits.w, grads, 0.8, damping=DAMPING, block_size=block_size).w


def test_rounds_need_gradients():
    w, grads = np.ones(3), np.eye(3)
    with pytest.raises(ValueError, match="n_recompute is 2; more than one round needs recompute"):
        nl.fisher.obs_prune(w, grads, 0.5, n_recompute=2)
    with pytest.raises(ValueError, match="grads is None"):
        nl.fisher.obs_prune(w, None, 0.5)
    with pytest.raises(ValueError, match=r"recompute\(w\) has shape \(3, 2\) and w has shape \(3,\)"):
        nl.fisher.obs_prune(w, None, 0.5, recompute=lambda w: np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"recompute\(w\) has the entry nan at index \(0, 0\)"):
        nl.fisher.obs_prune(w, grads, 0.5, recompute=lambda w: grads * np.nan, n_recompute=2)


def test_callback_sees_all_rounds_and_stops_them():
    rng = np.random.default_rng(0)
    w, fractions = rng.normal(size=40), []
    options = {"recompute": lambda w: rng.normal(size=(10, 40)), "n_recompute": 4}
    nl.fisher.obs_prune(w, None, 0.5, callback=fractions.append, **options)
    assert fractions == sorted(fractions)
    assert {0.25, 0.5, 0.75} <= set(fractions)
    with pytest.raises(nl.Interrupted):
        nl.fisher.obs_prune(w, None, 0.5, callback=lambda done: done >= 0.5, **options)


def test_an_inverse_that_rounding_leaves_indefinite_is_an_error(monkeypatch):
    finv = nl.fisher.FisherInverse(np.eye(3), 0.1)
    monkeypatch.setattr(finv, "diagonal", lambda **_: np.array([1.0, -1e-20, 1.0]))
    for call in (nl.fisher.obs_saliency, lambda w, finv: nl.fisher.obs_update(w, finv, [0], "independent")):
        with pytest.raises(np.linalg.LinAlgError, match="diagonal entry 1 of finv is not positive definite"):
            call(np.ones(3), finv)
    monkeypatch.setattr(finv, "_group_inverses", lambda *_: np.stack([np.eye(1), -np.eye(1)]))
    with pytest.raises(np.linalg.LinAlgError, match="block of group 1 of finv is not positive definite"):
        nl.fisher.obs_saliency(np.ones(3), finv, [[0], [1]])

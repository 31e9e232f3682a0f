"""Pruning by optimal brain surgeon against the dense formulas."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.reference import assert_columns_close


def random_problem(seed, block_size=None):
    """Return a generator, weights, gradients, damping, an operator, and F and its inverse as dense matrices."""
    rng = np.random.default_rng(seed)
    d, m, damping = int(rng.integers(2, 120)), int(rng.integers(1, 50)), 10 ** rng.uniform(-2, 0)
    w, G = rng.normal(size=d), rng.normal(size=(m, d)) * 10 ** rng.uniform(-1, 0.5) / np.sqrt(d)
    finv = nl.fisher.FisherInverse(G, damping, block_size=block_size)
    F = reference.fisher(G, damping, m, block_size=block_size)
    return rng, w, G, damping, finv, F


BLOCK_SIZES = [None, 1, 5, 16, 60, 1000]


@pytest.mark.smoke
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("seed", range(5))
def test_saliency(seed, block_size):
    rng, w, _, _, finv, F = random_problem(seed, block_size)
    inverse, d = np.linalg.inv(F), len(w)
    expected = w**2 / (2 * np.diag(inverse))
    np.testing.assert_allclose(reference.saliency(w, inverse), expected, rtol=1e-12)
    np.testing.assert_allclose(nl.fisher.obs_saliency(w, finv), expected, rtol=1e-9)
    for size in {1, 2, min(4, d), d}:
        groups = rng.permutation(d)[: d // size * size].reshape(-1, size)  # across blocks, and not all weights
        saliencies = nl.fisher.obs_saliency(w, finv, groups)
        assert saliencies.shape == (len(groups),)
        np.testing.assert_allclose(saliencies, reference.saliency(w, inverse, groups), rtol=1e-9)
        np.testing.assert_array_equal(nl.fisher.obs_saliency(0 * w, finv, groups), np.zeros(len(groups)))


@pytest.mark.smoke
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("seed", range(10))
def test_update(seed, block_size):
    """T9: equal to the dense formula, the predicted loss is 1/2 dw^T F dw, and none is below that of the joint one."""
    rng, w, _, _, finv, F = random_problem(100 + seed, block_size)
    inverse, d = np.linalg.inv(F), len(w)
    before = w.copy()
    pruned = rng.permutation(d) < rng.integers(1, d + 1)
    expected = {
        "joint": reference.joint_step(w, F, pruned),
        "independent": reference.independent_step(w, inverse, pruned),
    }
    losses = {}
    for method, step in expected.items():
        for prune in (pruned, rng.permutation(np.flatnonzero(pruned))):
            result = nl.fisher.obs_update(w, finv, prune, method=method)
            assert_columns_close(result.w, w + step, 1e-9 * np.linalg.norm(step))
            assert_columns_close(result.step, step, 1e-9 * np.linalg.norm(step))
            np.testing.assert_array_equal(result.w[pruned], 0.0)
            assert result.loss_increase == pytest.approx(reference.loss_increase(F, result.step), rel=1e-10)
        losses[method] = result.loss_increase
    np.testing.assert_array_equal(w, before)
    by_default = nl.fisher.obs_update(w, finv, pruned).loss_increase
    assert by_default == pytest.approx(losses["joint"], rel=1e-12)
    slack = 1 + 1e-10
    assert losses["joint"] <= losses["independent"] * slack
    assert losses["joint"] <= reference.loss_increase(F, np.where(pruned, -w, 0.0)) * slack  # pruned by magnitude
    assert losses["joint"] == pytest.approx(reference.saliency(w, inverse, [np.flatnonzero(pruned)])[0], rel=1e-9)
    for _ in range(100):
        other = np.where(pruned, -w, expected["joint"] + rng.normal(size=d) * 10 ** rng.uniform(-6, 1))
        assert losses["joint"] <= reference.loss_increase(F, other) * slack


@pytest.mark.parametrize("method", ["joint", "independent"])
@pytest.mark.parametrize("block_size", [None, 7])
@pytest.mark.parametrize("q", [0, 13, 39])
def test_one_weight_has_the_textbook_update(q, block_size, method):
    rng = np.random.default_rng(q)
    G, w = rng.normal(size=(15, 40)), rng.normal(size=40)
    finv = nl.fisher.FisherInverse(G, 1e-2, block_size=block_size)
    inverse = np.linalg.inv(reference.fisher(G, 1e-2, 15, block_size=block_size))
    result = nl.fisher.obs_update(w, finv, [q], method=method)
    step = -w[q] / inverse[q, q] * inverse[:, q]
    assert_columns_close(result.step, step, 1e-10 * np.linalg.norm(step))
    assert result.loss_increase == pytest.approx(w[q] ** 2 / (2 * inverse[q, q]), rel=1e-10)
    assert result.loss_increase == pytest.approx(nl.fisher.obs_saliency(w, finv)[q], rel=1e-10)


@pytest.mark.parametrize("block_size", [None, 6])
def test_heavy_weights_do_not_cancel(block_size):
    """The Gram matrix of what is kept has no correct digit as a difference when the rest is 1e5 times larger."""
    rng = np.random.default_rng(0)
    d, m = 30, 12
    pruned = np.arange(d) % 3 == 0
    G = rng.normal(size=(m, d)) * np.where(pruned, 1e5, 1.0)
    w = rng.normal(size=d) * np.where(pruned, 1e-5, 1.0)
    finv = nl.fisher.FisherInverse(G, 1e-2, block_size=block_size)
    step = reference.joint_step(w, reference.fisher(G, 1e-2, m, block_size=block_size), pruned)
    result = nl.fisher.obs_update(w, finv, pruned)
    assert_columns_close(result.step[~pruned], step[~pruned], 1e-9 * np.linalg.norm(step[~pruned]))


@pytest.mark.parametrize("m", [3, 40])
def test_update_where_the_dense_matrix_has_no_digits_left(m):
    """With damping 1e-13, against the least squares problem min |G dw|^2 / m + damping |dw|^2 of half the condition."""
    rng = np.random.default_rng(m)
    d, damping = 60, 1e-13
    G, w = rng.normal(size=(m, d)), rng.normal(size=d)
    pruned = np.arange(d) < 15
    stacked = np.vstack([G / np.sqrt(m), np.sqrt(damping) * np.eye(d)])
    free = np.linalg.lstsq(stacked[:, ~pruned], stacked[:, pruned] @ w[pruned], rcond=None)[0]
    result = nl.fisher.obs_update(w, nl.fisher.FisherInverse(G, damping), pruned)
    assert_columns_close(result.step[~pruned], free, 1e-7 * np.linalg.norm(free))


@pytest.mark.parametrize("method", ["joint", "independent"])
@pytest.mark.parametrize("block_size", [None, 3])
def test_nothing_and_everything_pruned(block_size, method):
    rng = np.random.default_rng(1)
    G, w = rng.normal(size=(4, 10)), rng.normal(size=10)
    finv = nl.fisher.FisherInverse(G, 0.1, block_size=block_size)
    F = reference.fisher(G, 0.1, 4, block_size=block_size)
    for nothing in (np.zeros(10, bool), np.empty(0, int), []):
        result = nl.fisher.obs_update(w, finv, nothing, method=method)
        np.testing.assert_array_equal(result.w, w)
        np.testing.assert_array_equal(result.step, np.zeros(10))
        assert result.loss_increase == 0
    for everything in (np.ones(10, bool), np.arange(10)):
        result = nl.fisher.obs_update(w, finv, everything, method=method)
        np.testing.assert_array_equal(result.w, np.zeros(10))
        np.testing.assert_array_equal(result.step, -w)
        assert result.loss_increase == pytest.approx(reference.loss_increase(F, w), rel=1e-12)


def test_zero_weights_are_pruned_for_nothing():
    rng = np.random.default_rng(2)
    w = rng.normal(size=10) * (np.arange(10) % 2)
    finv = nl.fisher.FisherInverse(rng.normal(size=(4, 10)), 0.1)
    np.testing.assert_array_equal(nl.fisher.obs_saliency(w, finv)[::2], np.zeros(5))
    result = nl.fisher.obs_update(w, finv, w == 0)
    np.testing.assert_array_equal(result.w, w)
    assert result.loss_increase == 0


@pytest.mark.parametrize("block_size", [None, 9])
def test_single_precision(block_size):
    rng = np.random.default_rng(3)
    G, w = rng.normal(size=(20, 50)).astype(np.float32), rng.normal(size=50).astype(np.float32)
    finv = nl.fisher.FisherInverse(G, 0.1, block_size=block_size)
    F = reference.fisher(G.astype(float), 0.1, 20, block_size=block_size)
    pruned = np.arange(50) % 2 == 0
    saliencies = nl.fisher.obs_saliency(w, finv)
    np.testing.assert_allclose(saliencies, reference.saliency(w.astype(float), np.linalg.inv(F)), rtol=1e-4)
    step = reference.joint_step(w.astype(float), F, pruned)
    result = nl.fisher.obs_update(w, finv, pruned)
    assert result.w.dtype == np.float32
    assert_columns_close(result.w, w + step, 1e-5 * np.linalg.norm(w))
    assert result.loss_increase == pytest.approx(reference.loss_increase(F, step), rel=1e-4)


@pytest.mark.smoke
@pytest.mark.parametrize("method", ["joint", "independent"])
@pytest.mark.parametrize("block_size", [None, 16, 30])
@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.9])
def test_pruning_at_once_is_saliency_and_update(sparsity, block_size, method):
    rng = np.random.default_rng(4)
    w, G = rng.normal(size=100), rng.normal(size=(40, 100))
    F = reference.fisher(G, 1e-2, 40, block_size=block_size)
    inverse = np.linalg.inv(F)
    pruned = np.zeros(100, bool)
    pruned[np.argsort(reference.saliency(w, inverse))[: round(100 * sparsity)]] = True
    result = nl.fisher.obs_prune(w, G, sparsity, damping=1e-2, block_size=block_size, method=method)
    np.testing.assert_array_equal(result.mask, ~pruned)
    assert result.mask.dtype == bool
    np.testing.assert_array_equal(result.w[pruned], 0.0)
    joint, independent = reference.joint_step(w, F, pruned), reference.independent_step(w, inverse, pruned)
    step = joint if method == "joint" else independent
    assert_columns_close(result.w, w + step, 1e-9 * np.linalg.norm(step))
    assert result.loss_increase == pytest.approx(reference.loss_increase(F, step), rel=1e-8)


@pytest.mark.parametrize("block_size", [None, 15])
def test_groups_are_pruned_as_a_whole(block_size):
    rng = np.random.default_rng(5)
    w, G = rng.normal(size=60), rng.normal(size=(20, 60))
    groups = rng.permutation(60).reshape(15, 4)
    F = reference.fisher(G, 1e-2, 20, block_size=block_size)
    saliencies = reference.saliency(w, np.linalg.inv(F), groups)
    pruned = np.zeros(60, bool)
    pruned[groups[np.argsort(saliencies)[:9]]] = True
    result = nl.fisher.obs_prune(w, G, 0.6, damping=1e-2, block_size=block_size, groups=groups)
    np.testing.assert_array_equal(result.mask, ~pruned)
    step = reference.joint_step(w, F, pruned)
    assert_columns_close(result.w, w + step, 1e-9 * np.linalg.norm(step))


@pytest.mark.parametrize("groups", [None, np.arange(40).reshape(20, 2)], ids=["weights", "pairs"])
@pytest.mark.parametrize("method", ["joint", "independent"])
@pytest.mark.parametrize("n_recompute", [2, 3, 8])
def test_what_was_pruned_stays_pruned_when_gradients_are_recomputed(n_recompute, method, groups):
    rng = np.random.default_rng(6)
    w = rng.normal(size=40)
    seen = []

    def recompute(current):
        assert current.shape == (40,)
        assert np.isfinite(current).all()
        seen.append(current.copy())
        return rng.normal(size=(10, 40))

    result = nl.fisher.obs_prune(
        w,
        rng.normal(size=(10, 40)),
        0.8,
        damping=1e-1,
        groups=groups,
        recompute=recompute,
        n_recompute=n_recompute,
        method=method,
    )
    assert n_recompute - 1 <= len(seen) <= n_recompute
    assert (~result.mask).sum() == 32
    np.testing.assert_array_equal(result.w[~result.mask], 0.0)
    assert (result.w[result.mask] != 0).all()
    zeros = [np.flatnonzero(current == 0) for current in seen] + [np.flatnonzero(~result.mask)]
    for earlier, later in itertools.pairwise(zeros):
        assert set(earlier) <= set(later)
    assert len(zeros[-2]) < 32 or len(seen) == n_recompute  # not everything in the first round
    assert np.isfinite(result.loss_increase)
    assert result.loss_increase > 0


def test_recomputed_gradients_are_the_ones_that_count():
    """The first gradients say that the first ten weights matter little, those of the second round say the reverse."""
    rng = np.random.default_rng(7)
    w = np.ones(20)
    first = rng.normal(size=(30, 20)) * np.where(np.arange(20) < 10, 1e-3, 1.0)
    second = rng.normal(size=(30, 20)) * np.where(np.arange(20) < 10, 1.0, 1e-3)
    kept = nl.fisher.obs_prune(w, first, 0.5, damping=1e-6, recompute=lambda _: second, n_recompute=2).mask
    assert 0 < kept[:10].sum() < 10
    np.testing.assert_array_equal(nl.fisher.obs_prune(w, first, 0.5, damping=1e-6).mask, np.arange(20) >= 10)


def test_no_sparsity_changes_nothing():
    rng = np.random.default_rng(8)
    w, G = rng.normal(size=20), rng.normal(size=(5, 20))
    result = nl.fisher.obs_prune(w, G, 0.0)
    np.testing.assert_array_equal(result.w, w)
    assert result.mask.all()
    assert result.loss_increase == 0


def test_inputs_are_never_written():
    rng = np.random.default_rng(9)
    w, G, groups = rng.normal(size=20), rng.normal(size=(5, 20)), np.arange(20).reshape(10, 2)
    pruned = np.arange(20) < 5
    copies = [array.copy() for array in (w, G, groups, pruned)]
    for array in (w, G, groups, pruned):
        array.flags.writeable = False
    finv = nl.fisher.FisherInverse(G, 0.1)
    nl.fisher.obs_saliency(w, finv, groups)
    nl.fisher.obs_update(w, finv, pruned)
    nl.fisher.obs_prune(w, G, 0.5, groups=groups, recompute=lambda _: G, n_recompute=2)
    for array, before in zip((w, G, groups, pruned), copies, strict=True):
        np.testing.assert_array_equal(array, before)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 12),
    m=st.integers(1, 12),
    block_size=st.integers(1, 13) | st.none(),
    data=st.data(),
)
def test_loss_is_never_below_that_of_fewer_weights(seed, d, m, block_size, data):
    """The minimum over dw with dw_Q = -w_Q grows with Q, and that for every Q is the saliency of Q as one group."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=d)
    finv = nl.fisher.FisherInverse(rng.normal(size=(m, d)), 0.1, block_size=block_size)
    order = data.draw(st.permutations(range(d)))
    previous = 0.0
    for count in range(1, d + 1):
        Q = order[:count]
        loss = nl.fisher.obs_update(w, finv, Q).loss_increase
        assert loss >= previous * (1 - 1e-9)
        assert loss == pytest.approx(nl.fisher.obs_saliency(w, finv, [Q])[0], rel=1e-8)
        previous = loss


class TestBadInput:
    finv = property(lambda self: nl.fisher.FisherInverse(np.eye(3, 6), 0.1))

    @pytest.mark.parametrize("length", [0, 5, 7])
    def test_weights_that_do_not_fit(self, length):
        w = np.ones(length)
        with pytest.raises(ValueError, match=rf"\bw has shape \({length},\)"):
            nl.fisher.obs_saliency(w, self.finv)
        with pytest.raises(ValueError, match=rf"\bw has shape \({length},\)"):
            nl.fisher.obs_update(w, self.finv, [0])
        with pytest.raises(ValueError, match=rf"\bw has shape \({length},\)"):
            nl.fisher.obs_prune(w, np.eye(3, 6), 0.5)

    @pytest.mark.parametrize(
        ("w", "error", "message"),
        [
            (np.ones(6, complex), TypeError, "w has dtype complex128"),
            (np.ones((2, 3)), ValueError, r"w has shape \(2, 3\)"),
            ([1, 2, np.nan, 3, 4, 5], ValueError, r"w has the entry nan at index \(2,\)"),
            ([1, 2, 3, 3, 4, np.inf], ValueError, r"w has the entry inf at index \(5,\)"),
        ],
        ids=["complex", "matrix", "nan", "inf"],
    )
    def test_weights_of_another_kind(self, w, error, message):
        with pytest.raises(error, match=message):
            nl.fisher.obs_saliency(w, self.finv)
        with pytest.raises(error, match=message):
            nl.fisher.obs_update(w, self.finv, [0])
        with pytest.raises(error, match=message):
            nl.fisher.obs_prune(w, np.eye(3, 6), 0.5)

    @pytest.mark.parametrize(
        "groups", [[[0, 1], [1, 2]], [[3, 3]], [[0, 1], [4, 5], [2, 0]], [0, 1], np.zeros((1, 1, 1), int)], ids=str
    )
    def test_groups_that_overlap_or_have_another_shape(self, groups):
        with pytest.raises(ValueError, match=r"\bgroups\b"):
            nl.fisher.obs_saliency(np.ones(6), self.finv, groups)
        with pytest.raises(ValueError, match=r"\bgroups\b"):
            nl.fisher.obs_prune(np.ones(6), np.eye(3, 6), 0.5, groups=groups)

    @pytest.mark.parametrize("bad", [6, -7, 10**9])
    def test_indices_out_of_range(self, bad):
        with pytest.raises((IndexError, ValueError), match=r"\bgroups\b"):
            nl.fisher.obs_saliency(np.ones(6), self.finv, [[0, bad]])
        with pytest.raises(IndexError, match=r"\bprune\b"):
            nl.fisher.obs_update(np.ones(6), self.finv, [0, bad])

    @pytest.mark.parametrize("length", [1, 5, 7])
    def test_mask_that_does_not_fit(self, length):
        with pytest.raises(ValueError, match=r"\bprune has shape"):
            nl.fisher.obs_update(np.ones(6), self.finv, np.ones(length, bool))

    def test_prune_and_groups_are_integers(self):
        with pytest.raises(TypeError, match=r"\bprune\b"):
            nl.fisher.obs_update(np.ones(6), self.finv, [0.5, 1.0])
        with pytest.raises(TypeError, match=r"\bgroups\b"):
            nl.fisher.obs_saliency(np.ones(6), self.finv, [[0.5, 1.0]])

    @pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, np.nan, np.inf])
    def test_sparsity_outside_of_its_range(self, sparsity):
        with pytest.raises(ValueError, match=r"\bsparsity\b"):
            nl.fisher.obs_prune(np.ones(6), np.eye(3, 6), sparsity)

    def test_unknown_method(self):
        with pytest.raises(ValueError, match=r"\bmethod\b"):
            nl.fisher.obs_update(np.ones(6), self.finv, [0], method="greedy")
        with pytest.raises(ValueError, match=r"\bmethod\b"):
            nl.fisher.obs_prune(np.ones(6), np.eye(3, 6), 0.5, method="greedy")

    def test_recomputation(self):
        w, G = np.ones(6), np.eye(3, 6)
        with pytest.raises(ValueError, match=r"\bn_recompute\b"):
            nl.fisher.obs_prune(w, G, 0.5, recompute=lambda _: G, n_recompute=0)
        with pytest.raises(TypeError, match=r"\brecompute\b"):
            nl.fisher.obs_prune(w, G, 0.5, recompute=G, n_recompute=2)
        with pytest.raises(ValueError, match=r"\(3, 5\)"):
            nl.fisher.obs_prune(w, G, 0.5, recompute=lambda _: np.ones((3, 5)), n_recompute=2)

        def fail(_):
            raise LookupError("from recompute")

        with pytest.raises(LookupError, match="from recompute"):
            nl.fisher.obs_prune(w, G, 0.5, recompute=fail, n_recompute=2)

    @pytest.mark.parametrize("damping", [0.0, -1.0, np.nan])
    def test_damping(self, damping):
        with pytest.raises(ValueError, match=r"\bdamping\b"):
            nl.fisher.obs_prune(np.ones(6), np.eye(3, 6), 0.5, damping=damping)

    def test_gradients(self):
        with pytest.raises(ValueError, match=r"\bgrads\b"):
            nl.fisher.obs_prune(np.ones(6), np.full((3, 6), np.nan), 0.5)
        with pytest.raises(ValueError, match=r"\bgrads\b"):
            nl.fisher.obs_prune(np.ones(6), np.ones(6), 0.5)

    def test_block_size(self):
        with pytest.raises(ValueError, match=r"\bblock_size\b"):
            nl.fisher.obs_prune(np.ones(6), np.eye(3, 6), 0.5, block_size=0)

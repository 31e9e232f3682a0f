"""Memory: what the inverses take, that it is no more, and whose the gradients are."""

import numpy as np
import pytest

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.reference import assert_columns_close
from tests.fisher.window import Window
from tests.sparse.test_memory import in_fresh_python, linux

TILE = 64 * 1024 * 8  # bytes: of so many gradients, 1024 entries each are widened to double at a time
ALLOWANCE = 8 << 20  # for heaps and stacks of threads


def slide(sliding, G):
    """Slide three gradients through a window, again and again, and multiply by what it is the inverse of."""
    for step in range(sliding.window + 2):
        sliding.update(G[step % 3])
    sliding.update_many(G[:2])
    sliding.precondition(G[2])
    sliding.matvec(G[0])
    sliding.remove(1)
    sliding.matmat(G[:2].T)
    sliding.combination(np.ones(sliding.n_stored))
    sliding.logdet()
    sliding.gradient(0)


@linux
@pytest.mark.unsanitized
@pytest.mark.parametrize(("storage", "size"), [("float64", 8), ("float32", 4), ("float16", 2), ("bfloat16", 2)])
def test_a_window_takes_its_gradients_and_little_more(storage, size):
    """Two matrices, a tile per thread and vectors; a copy of the gradients, as a state is one, would be seen."""
    m, d, vector = 32, 500_000, max(size, 4)
    script = (
        "from tests.fisher.test_memory import Window, slide\n"
        f"G = np.random.default_rng(0).standard_normal((3, {d}), 'f{vector}')\n"
        f"slide(Window(3000, 4, storage='{storage}', n_threads=2), G[:, :3000])\n"
        "before = resident()\n"
        f"sliding = Window({d}, {m}, storage='{storage}', n_threads=2)\n"
        "slide(sliding, G)\n"
        "print(peak_resident() - before)\n"
        "state = sliding.state_dict()\n"
        "print(peak_resident() - before)\n"
    )
    used, with_state = map(int, in_fresh_python(script).split())
    vectors = 4 * d * vector  # two that come out, and as much that has been given back: to the heap, maybe
    assert used <= m * d * size + 2 * m**2 * 8 + 2 * TILE + vectors + ALLOWANCE < with_state


@linux
@pytest.mark.unsanitized
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_that_are_not_to_be_copied_are_not(dtype):
    m, d, size = 32, 500_000, np.dtype(dtype).itemsize
    script = (
        "def invert(G, copy):\n"
        "    inverse = nl.fisher.FisherInverse(G, 1e-2, copy=copy, n_threads=2)\n"
        "    inverse.matvec(G[0])\n"
        "    return inverse\n"
        f"G = np.random.default_rng(0).standard_normal(({m}, {d}), 'f{size}')\n"
        "invert(G[:, :3000], False)\n"
        "before = resident()\n"
        "inverse = invert(G, False)\n"
        "print(peak_resident() - before)\n"
        "copy = invert(G, True)\n"
        "print(peak_resident() - before)\n"
    )
    used, with_copy = map(int, in_fresh_python(script).split())
    assert used <= 2 * m**2 * 8 + 2 * TILE + d * size + ALLOWANCE < with_copy


def test_memory_is_the_gradients_and_little_more():
    m, d = 8, 100_000
    G = np.ones((m, d), np.float32)
    for storage, size in (("float64", 8), ("float32", 4), ("float16", 2), ("bfloat16", 2)):
        needed = m * d * size
        assert needed <= nl.fisher.FisherInverse.estimate_nbytes(m, d, storage=storage) <= 1.25 * needed
        assert needed <= nl.fisher.FisherInverse(G, storage=storage).nbytes <= 1.25 * needed
    assert nl.fisher.FisherInverse.estimate_nbytes(m, d) == nl.fisher.FisherInverse.estimate_nbytes(
        m, d, storage="float32"
    )
    m, d = 2000, 4000
    matrices = nl.fisher.FisherInverse.estimate_nbytes(m, d) - m * d * 4
    assert 2 * m**2 * 8 <= matrices <= 4 * m**2 * 8


def test_memory_that_is_not_there_is_stated():
    with pytest.raises(MemoryError, match=r"\d"):
        Window(2**50, 4)
    with pytest.raises((MemoryError, OverflowError)):
        Window(2**62, 8)


@pytest.mark.parametrize("method", ["cholesky", "recurrence"])
@pytest.mark.parametrize("copy_them", [True, False])
def test_gradients_are_never_written_and_copied_by_default(copy_them, method):
    rng = np.random.default_rng(8)
    G, x = rng.normal(size=(6, 50)), rng.normal(size=50)
    before = G.copy()
    G.flags.writeable = False
    finv = nl.fisher.FisherInverse(G, 1e-2, copy=copy_them, method=method)
    expected = finv.matvec(x)
    finv.diagonal()
    np.testing.assert_array_equal(G, before)
    assert_columns_close(expected, reference.power(before, 1e-2, 6, x, -1), 1e-11 * np.linalg.norm(x) / 1e-2)
    if copy_them:
        G.flags.writeable = True
        G[:] = np.nan
        np.testing.assert_array_equal(finv.matvec(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_mapped_gradients(tmp_path, dtype):
    rng = np.random.default_rng(9)
    G = rng.normal(size=(6, 3000)).astype(dtype)
    G.tofile(tmp_path / "gradients")
    mapped = np.memmap(tmp_path / "gradients", dtype, "r", shape=G.shape)
    x = rng.normal(size=3000).astype(dtype)
    expected = nl.fisher.FisherInverse(G, 1e-3).matvec(x)
    for copy_them in (True, False):
        finv = nl.fisher.FisherInverse(mapped, 1e-3, copy=copy_them)
        np.testing.assert_array_equal(finv.matvec(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_callers_gradient_is_neither_written_nor_kept(dtype):
    rng = np.random.default_rng(9)
    sliding = Window(30, 4, 0.1, storage=np.dtype(dtype).name)
    G, x = rng.normal(size=(3, 30)).astype(dtype), rng.normal(size=30).astype(dtype)
    before = G.copy()
    G.flags.writeable = x.flags.writeable = False
    sliding.update_many(G)
    sliding.precondition(G[1])
    sliding.update(G[2])
    expected = sliding.matvec(x)
    np.testing.assert_array_equal(G, before)
    G.flags.writeable = True
    G[:] = np.nan
    stored = sliding.gradient(0)
    if stored.flags.writeable:
        stored[:] = np.nan
    np.testing.assert_array_equal(sliding.matvec(x), expected)
    np.testing.assert_array_equal(sliding.gradient(0), before[1])  # the first of five has left

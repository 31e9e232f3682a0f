"""Coresets of rows that come block by block: the same however they are cut, unbiased, small and good."""

import pickle
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import nearlinear as nl
from tests.sampling import instances, reference

StreamingCoreset: Any = nl.sampling.StreamingCoreset


def assert_same(one: Any, other: Any) -> None:
    for name in ("rows", "rhs", "indices", "weights", "scale"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        assert getattr(one, name) is None or getattr(one, name).dtype == getattr(other, name).dtype


@pytest.mark.smoke
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("rhs", [None, 1, 2])
def test_any_split_gives_the_same(p: float, rhs: int | None) -> None:
    rng = np.random.default_rng(0)
    A = instances.heavy_tailed(2000, 3)
    b = None if rhs is None else rng.standard_normal(2000) if rhs == 1 else rng.standard_normal((2000, 2))
    whole = StreamingCoreset(p, 60, 5).partial_fit(A, b)
    for cuts in (1, 7, 40):
        edges = [0, *np.sort(rng.choice(2001, cuts)), 2000]
        parts = StreamingCoreset(p, 60, 5, n_threads=2)
        for begin, end in pairwise(edges):
            parts.partial_fit(A[begin:end], None if b is None else b[begin:end])
        assert parts.rows_seen == 2000
        assert_same(parts.result(), whole.result())
    result = whole.result()
    np.testing.assert_array_equal(result.rows, A[result.indices])
    if b is not None:
        np.testing.assert_array_equal(result.rhs, b[result.indices])
    np.testing.assert_allclose(result.scale, result.weights ** (1 / p))
    assert np.all(np.diff(result.indices) > 0)
    assert repr(result) == f"Coreset(60 rows of 3 columns, p={p})"
    assert repr(whole) == f"StreamingCoreset(p={p}, budget=60, seed=5, rows_seen=2000)"


def test_all_rows_while_there_are_no_more_than_the_budget() -> None:
    A = instances.heavy_tailed(300, 3)
    stream = StreamingCoreset(1, 100, 0)
    for count in range(20, 320, 20):
        stream.partial_fit(A[count - 20 : count])
        result = stream.result()
        assert len(result) == min(count, 100)
        if count <= 100:
            np.testing.assert_array_equal(result.rows, A[:count])
            np.testing.assert_array_equal(result.weights, np.ones(count))
    assert np.all(result.weights >= 1 - 1e-12)
    assert_same(stream.result(), stream.result())  # which looks, and takes nothing


def test_estimates_are_unbiased() -> None:
    """Within 4 standard errors over 200 seeds, of streams and of merged parts; other p are among the sweeps."""
    p, A = 1, instances.heavy_tailed(500, 3)
    powers = np.abs(A @ np.random.default_rng(1).standard_normal((3, 5))) ** p
    whole = powers.sum(axis=0)
    estimates: list[list[Any]] = [[], []]
    for seed in range(1000, 1200):
        stream = StreamingCoreset(p, 50, seed).partial_fit(A)
        merged = StreamingCoreset(p, 50, seed).partial_fit(A[270:], row_offset=270)
        merged.merge(StreamingCoreset(p, 50, seed).partial_fit(A[:270]))
        for kind, coreset in enumerate((stream, merged)):
            result = coreset.result()
            estimates[kind].append(result.weights @ powers[result.indices] / whole)
    for found in estimates:
        error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
        assert np.all(np.abs(np.mean(found, axis=0) - 1) < 4 * error + 1e-12)


@pytest.mark.parametrize("p", [1, 3])
def test_quality(p: float) -> None:
    """The root of the number of reductions, that a row goes through, times the distortion of one sample, or better."""
    A = instances.heavy_tailed(8000, 5)
    streamed, single = [], []
    for seed in range(5):
        result = StreamingCoreset(p, 500, seed).partial_fit(A).result()
        pair = (result.indices, result.weights)
        streamed.append(nl.sampling.embedding_distortion(A, pair, p, seed=0, n_directions=50))
        sample = nl.sampling.sample_rows(A, p, 500, score="lewis", exact_size=True, seed=seed)
        single.append(nl.sampling.embedding_distortion(A, sample, seed=0, n_directions=50))
    assert np.mean(streamed) < np.sqrt(4) * np.mean(single)  # 16 sets, two by two


def test_merging() -> None:
    rng = np.random.default_rng(2)
    A, b = instances.heavy_tailed(3000, 3), rng.standard_normal(3000)
    edges = [0, 40, 500, 501, 1900, 3000]
    parts = [
        StreamingCoreset(1, 80, 9).partial_fit(A[begin:end], b[begin:end], row_offset=begin)
        for begin, end in pairwise(edges)
    ]
    copies = [part.result() for part in parts]
    whole = parts[2] + parts[0] + parts[4]
    whole.merge(parts[1]).merge(parts[3])
    assert whole.rows_seen == 3000
    result = whole.result()
    assert len(result) == 80
    np.testing.assert_array_equal(result.rows, A[result.indices])
    np.testing.assert_array_equal(result.rhs, b[result.indices])
    distortion = nl.sampling.embedding_distortion(np.column_stack([A, b]), (result.indices, result.weights), 1, seed=0)
    assert distortion < 0.5
    assert_same(parts[0].result(), copies[0])
    assert_same((parts[0] + StreamingCoreset(1, 80, 9)).result(), copies[0])
    assert_same((StreamingCoreset(1, 80, 9) + parts[0]).result(), copies[0])
    assert_same(StreamingCoreset(1, 80, 9).merge(parts[0]).result(), copies[0])
    assert_same((parts[0] + parts[1]).result(), (parts[0] + parts[1]).result())
    assert (StreamingCoreset(1, 80, 9) + StreamingCoreset(1, 80, 9)).rows_seen == 0


def test_pickles_go_on_as_if_nothing_had_happened() -> None:
    A = instances.heavy_tailed(900, 3)
    A[100:300] = 0  # sets of which nothing remains
    for dtype in (np.float32, np.float64):
        stream, copy = (StreamingCoreset(1.5, 50, 3) for _ in range(2))
        for begin in range(0, 900, 90):
            block = A[begin : begin + 90].astype(dtype)
            stream = stream.partial_fit(block, block[:, 0])
            copy = pickle.loads(pickle.dumps(copy)).partial_fit(block, block[:, 0])
            assert repr(copy) == repr(stream)
            assert_same(copy.result(), stream.result())
            assert copy.result().rows.dtype == dtype
        again = StreamingCoreset.from_bytes(stream.to_bytes())
        assert again.to_bytes() == stream.to_bytes()
        assert_same(again.result(), stream.result())
    empty = pickle.loads(pickle.dumps(StreamingCoreset(1, 50, 3)))
    assert empty.rows_seen == 0
    assert_same(empty.partial_fit(A).result(), StreamingCoreset(1, 50, 3).partial_fit(A).result())


def test_precision_is_that_of_all_blocks() -> None:
    A = instances.heavy_tailed(90, 3)
    stream = StreamingCoreset(1, 50, 0).partial_fit(A[:30].astype(np.float32))
    assert stream.result().rows.dtype == np.float32
    assert stream.partial_fit(A[30:60]).result().rows.dtype == np.float64
    assert stream.partial_fit(A[60:].astype(np.float16)).result().weights.dtype == np.float64
    single = StreamingCoreset(1, 50, 0).partial_fit(A[:30].astype(np.float32))
    double = StreamingCoreset(1, 50, 0).partial_fit(A[30:], row_offset=30)
    assert (single + double).result().rows.dtype == np.float64
    with_rhs = StreamingCoreset(1, 50, 0).partial_fit(A[:9].astype(np.float32), A[:9, 0])
    assert with_rhs.result().rhs.dtype == np.float64


def test_rows_of_zeros_and_blocks_of_nothing() -> None:
    stream = StreamingCoreset(1, 10, 0).partial_fit(np.zeros((0, 3)))
    assert stream.result().rows.shape == (0, 3)
    stream.partial_fit(np.zeros((100, 3)))
    assert stream.rows_seen == 100
    assert not stream.result().rows.any()
    A = instances.heavy_tailed(200, 3)
    result = stream.partial_fit(A).result()
    assert len(result) <= 10
    np.testing.assert_array_equal(result.rows, np.vstack([np.zeros((100, 3)), A])[result.indices])


@pytest.mark.parametrize("name", [name for name, _ in instances.adversarial_matrices()])
def test_adversarial_matrices(name: str) -> None:
    A = np.tile(dict(instances.adversarial_matrices())[name], (5, 1))
    for p in (1, 3):
        stream = StreamingCoreset(p, A.shape[1] + 5, 0).partial_fit(A)
        result = stream.result()
        assert len(result) <= A.shape[1] + 5
        np.testing.assert_array_equal(result.rows, A[result.indices])
        assert np.all(result.weights > 0)
        assert np.isfinite(result.weights).all()


def test_bytes_that_are_no_coreset_are_refused() -> None:
    A = instances.heavy_tailed(520, 3)
    data = StreamingCoreset(1, 50, 3).partial_fit(A, A[:, 0]).to_bytes()
    header = 5 * 8  # what the Python face adds
    budget = header + 16
    size = header + 7 * 8 + 16  # of the rows that are gathered, behind one stretch
    index = size + 8
    bad = [b"", data[:-1], data + b"x", b"\0" * len(data), data[: len(data) // 2], data[:header]]
    for place in (0, 8, 16, 24, 32, header, header + 8, budget, header + 24, header + 40, header + 48, size):
        bad.append(data[:place] + b"\xff" * 8 + data[place + 8 :])
    for value in (-1, 520, 10**15):  # rows that were not taken in
        bad.append(data[:index] + np.int64(value).tobytes() + data[index + 8 :])
    bad.append(data[:index] + data[index + 8 : index + 16] + data[index + 8 :])  # one that is there twice
    for number, corrupted in enumerate(bad):
        with pytest.raises(ValueError, match="StreamingCoreset"):
            pytest.fail(f"{number}: {StreamingCoreset.from_bytes(corrupted)!r}")
    with pytest.raises(TypeError, match="data is a str; it must be bytes"):
        StreamingCoreset.from_bytes("bytes")


def test_any_corruption_is_refused_or_harmless() -> None:
    A = instances.heavy_tailed(120, 2)
    data = StreamingCoreset(1, 20, 3).partial_fit(A).to_bytes()
    rng = np.random.default_rng(3)
    for place in [*range(200), *range(200, len(data), 5)]:
        for byte in (0, 255, int(rng.integers(256))):
            try:
                stream = StreamingCoreset.from_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
                result = stream.partial_fit(A[:30], row_offset=10**6).result()
            except ValueError:
                continue
            assert np.isfinite(result.rows).all()
            assert np.isfinite(result.weights).all()
            assert np.all(result.indices >= 0)
            assert np.all(np.diff(result.indices) > 0)


def test_nothing_is_lost_by_bad_blocks() -> None:
    A = instances.heavy_tailed(100, 3)
    stream = StreamingCoreset(1, 20, 1).partial_fit(A, A[:, 0])
    before = stream.to_bytes()
    for block, rhs, offset, message in [
        ([[1.0, np.nan, 0]], [1.0], None, "block has the entry nan"),
        ([[1.0, 2, 0]], [np.inf], None, "rhs has the entry inf"),
        ([[1.0, 2]], [1.0], None, "it must have 3 columns"),
        ([[1.0, 2, 3]], [1.0, 2], None, "they must have as many rows"),
        ([[1.0, 2, 3]], None, None, "rhs has no columns, and the blocks before have 1 columns"),
        ([[1.0, 2, 3]], [[1.0, 2]], None, "rhs has 2 columns, and the blocks before have 1 columns"),
        (A[:2], A[:2, 0], 99, "rows 99 to 99 were taken in before"),
        (A[:2], A[:2, 0], -1, "row_offset is -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            stream.partial_fit(block, rhs, row_offset=offset)
    assert stream.to_bytes() == before


def test_merging_what_does_not_match() -> None:
    A = np.ones((3, 2))
    stream = StreamingCoreset(1, 10, seed=1).partial_fit(A)
    for other, message in [
        (StreamingCoreset(1, 10, seed=2), "seed is 1 and that of other is 2; they must be the same"),
        (StreamingCoreset(1, 11, seed=1), "budget is 10 and that of other is 11"),
        (StreamingCoreset(2, 10, seed=1), "p is 1.0 and that of other is 2.0"),
        (StreamingCoreset(1, 10, seed=1).partial_fit(np.ones((3, 3)), row_offset=9), "it must have 2 columns"),
        (StreamingCoreset(1, 10, seed=1).partial_fit(A, A[:, 0], row_offset=9), "rhs has 1 columns"),
        (StreamingCoreset(1, 10, seed=1).partial_fit(A, row_offset=2), "rows 2 to 2 were taken in before"),
        (stream, "rows 0 to 2 were taken in before"),
    ]:
        with pytest.raises(ValueError, match=message):
            stream.merge(other)
        with pytest.raises(ValueError, match=message):
            stream + other
    with pytest.raises(TypeError, match="other is a int; it must be a StreamingCoreset"):
        stream.merge(3)
    with pytest.raises(TypeError, match="unsupported operand"):
        stream + 3
    assert stream.rows_seen == 3


def test_regression_of_a_stream() -> None:
    rng = np.random.default_rng(4)
    A = instances.heavy_tailed(20000, 4)
    b = A @ rng.standard_normal(4) + rng.standard_t(2, 20000)
    result = StreamingCoreset(1, 1000, 0).partial_fit(A, b).result()
    x = nl.sampling.lp_regression(result.rows, result.rhs, 1, sample_weight=result.weights).x
    best = nl.sampling.lp_regression(A, b, 1).norm
    assert reference.norm(A @ x - b, 1) < 1.03 * best


STREAM = """
import resource
import numpy as np
import nearlinear as nl
block = np.random.default_rng(0).standard_normal((10000, 20))
stream = nl.sampling.StreamingCoreset(1, 500, 0).partial_fit(block)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(20):
    stream.partial_fit(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(stream.to_bytes()), len(stream.result()))
"""


@pytest.mark.unsanitized
def test_memory_of_a_stream() -> None:
    """210000 rows of 20 numbers, which are 34 MB, take a few sets of 500."""
    run = subprocess.run([sys.executable, "-c", STREAM], capture_output=True, text=True, check=True)
    kilobytes, size, rows = map(int, run.stdout.split())
    assert kilobytes < 5000
    assert size < 10 * 500 * 22 * 8
    assert rows == 500

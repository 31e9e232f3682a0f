import math

import numpy as np
import pytest

import nearlinear as nl
from nearlinear import _core
from tests.sketch import kron_reference as reference

kron_lstsq, tensor_srht = nl.sketch.kron_lstsq, nl.sketch.tensor_srht


def matrix(rng, n, d, rank=None):
    """Return an n x d matrix with `rank` singular values within 1/2 and 2, so that 1e-12 is no matter of condition."""
    rank = min(n, d) if rank is None else rank
    U, V = (np.linalg.qr(rng.normal(size=(size, rank)))[0] for size in (n, d))
    return (U * rng.uniform(0.5, 2, size=rank)) @ V.T


def norm(array):
    return float(np.linalg.norm(np.ravel(array)))


def test_philox_is_the_published_one():
    """Known answers of Salmon et al. for the counters and keys that are zero."""
    assert [hex(word) for word in reference.philox_words(0, 0, 1)[0].tolist()] == [
        "0x6627e8d5",
        "0xe169c58d",
        "0xbc57ac4c",
        "0x9b00dbd8",
    ]


@pytest.mark.smoke
@pytest.mark.parametrize("sizes", [(1,), (13,), (8, 16), (5, 40), (3, 1, 6), (6, 5, 4, 3), (2, 3, 4, 5, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tensor_srht_is_the_explicit_sketch(sizes, dtype):
    rng = np.random.default_rng(len(sizes))
    m, seed = 37, 2**40 + 17
    factors = [rng.normal(size=(n, 1 + t)).astype(dtype) for t, n in enumerate(sizes)]
    S = reference.tensor_srht(sizes, m, seed)
    expected = S @ reference.kron([factor.astype(float) for factor in factors])
    actual = tensor_srht(factors, m, seed)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    assert actual.shape == expected.shape
    assert actual.dtype == dtype
    assert norm(actual - expected) <= tolerance * norm(expected)

    b, Sb = rng.normal(size=math.prod(sizes)).astype(dtype), np.empty(m, dtype)
    _core.tensor_srht_vector(list(sizes), b, seed, Sb)
    assert norm(Sb - S @ b) <= tolerance * norm(b) * np.linalg.norm(S, 2)


@pytest.mark.parametrize("sizes", [(9,), (20, 33), (4, 5, 6, 7)])
def test_khatri_rao_is_the_sketch_of_its_columns(sizes):
    rng = np.random.default_rng(1)
    factors = [rng.normal(size=(n, 3)) for n in sizes]
    expected = reference.tensor_srht(sizes, 50, 9) @ reference.khatri_rao(factors)
    assert norm(tensor_srht(factors, 50, 9, khatri_rao=True) - expected) <= 1e-12 * norm(expected)


@pytest.mark.parametrize("sizes", [(30,), (7, 9), (3, 4, 5), (3, 2, 4, 3)])
def test_the_square_of_a_sketched_norm_is_unbiased(sizes):
    """E |S x|^2 = |x|^2 within four standard errors, for vectors of rank one, of one entry and of full rank."""
    rng = np.random.default_rng(4)
    n, seeds = math.prod(sizes), 600
    x = np.stack(
        [reference.kron([rng.normal(size=size) for size in sizes]), np.eye(n)[n // 2], rng.normal(size=n)], axis=1
    )
    x /= np.linalg.norm(x, axis=0)
    identity = [np.eye(size) for size in sizes]
    squares = np.array([np.sum((tensor_srht(identity, 20, seed) @ x) ** 2, axis=0) for seed in range(seeds)])
    errors = np.abs(squares.mean(axis=0) - 1)
    assert (errors <= 4 * squares.std(axis=0) / math.sqrt(seeds) + 1e-12).all()
    assert squares[:, 2].std() > 0.1  # one seed is not like another


def exact_instances():
    rng = np.random.default_rng(11)
    for number in range(200):
        q = 1 + number % 4
        shapes = [tuple(int(size) for size in rng.integers(1, (40, 10, 6, 4)[q - 1] + 1, size=2)) for _ in range(q)]
        ranks = [int(rng.integers(1, min(shape) + 1)) if rng.random() < 0.3 else min(shape) for shape in shapes]
        yield [matrix(rng, *shape, rank) for shape, rank in zip(shapes, ranks, strict=True)], math.prod(ranks), rng


@pytest.mark.smoke
def test_exact_is_explicit_least_squares():
    for factors, rank, rng in exact_instances():
        K = reference.kron(factors)
        b = rng.normal(size=K.shape[0])
        expected = np.linalg.lstsq(K, b, rcond=1e-10)[0]
        result = kron_lstsq(factors, b)
        assert result.method == "exact"
        assert result.rank == rank
        assert result.indices is None
        assert result.x.shape == expected.shape
        assert norm(result.x - expected) <= 1e-12 * max(1, norm(expected))
        assert abs(result.residual_norm - norm(K @ expected - b)) <= 1e-12 * norm(b)

        shape = tuple(factor.shape[0] for factor in factors)
        tensor = kron_lstsq(factors, np.asfortranarray(b.reshape(shape)))
        assert tensor.x.shape == tuple(factor.shape[1] for factor in factors)
        assert np.array_equal(tensor.x.ravel(), result.x)


def test_exact_with_ill_conditioned_factors_is_as_good_as_qr_of_each():
    """The residual is that of the best solution, and A^T r is as small as a backward stable solver leaves it."""
    rng = np.random.default_rng(2)
    U = [np.linalg.qr(rng.normal(size=(n, 6)))[0] for n in (60, 40)]
    V = [np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(2)]
    factors = [u * np.geomspace(1, 1e-7, 6) @ v for u, v in zip(U, V, strict=True)]
    x = rng.normal(size=36)
    K = reference.kron(factors)
    b = K @ x
    result = kron_lstsq(factors, b)
    assert result.rank == 36
    assert norm(K @ result.x - b) <= 1e-14 * norm(b)


@pytest.mark.parametrize(("dtype", "powers"), [(np.float64, (700, -900, 1000)), (np.float32, (90, -110, 100))])
@pytest.mark.parametrize("method", ["exact", "tensor-srht", "sampling"])
def test_scales_of_factors_and_of_b_do_no_harm(method, dtype, powers):
    rng = np.random.default_rng(3)
    factors = [matrix(rng, 50, 3).astype(dtype), matrix(rng, 30, 2).astype(dtype)]
    b = rng.normal(size=1500).astype(dtype)
    plain = kron_lstsq(factors, b, method, seed=1)
    scaled = [np.ldexp(factor, power) for factor, power in zip(factors, powers, strict=False)]
    result = kron_lstsq(scaled, np.ldexp(b, powers[2] // 2), method, seed=1)
    x = np.ldexp(result.x.astype(float), powers[0] + powers[1] - powers[2] // 2)
    assert result.x.dtype == dtype
    assert norm(x - plain.x) <= 100 * np.finfo(dtype).eps * norm(plain.x)
    assert math.isclose(result.residual_norm, math.ldexp(plain.residual_norm, powers[2] // 2), rel_tol=1e-5)


def test_zero_factors_and_zero_right_hand_sides():
    rng = np.random.default_rng(5)
    factors = [matrix(rng, 6, 2), np.zeros((5, 3))]
    b = rng.normal(size=30)
    for method in ("exact", "tensor-srht", "sampling"):
        result = kron_lstsq(factors, b, method, seed=0)
        assert result.rank == 0
        assert not result.x.any()
        assert not kron_lstsq([matrix(rng, 6, 2), matrix(rng, 5, 3)], np.zeros(30), method, seed=0).x.any()
    assert math.isclose(kron_lstsq(factors, b).residual_norm, norm(b), rel_tol=1e-14)


@pytest.mark.parametrize("shapes", [[(50, 4)], [(40, 3), (30, 2)], [(12, 2), (10, 3), (9, 2)]])
def test_sketched_solution_is_that_of_the_explicit_sketch(shapes):
    rng = np.random.default_rng(6)
    factors = [matrix(rng, *shape) for shape in shapes]
    sizes = tuple(n for n, _ in shapes)
    b = rng.normal(size=math.prod(sizes))
    S = reference.tensor_srht(sizes, 200, 3)
    K = reference.kron(factors)
    expected = np.linalg.lstsq(S @ K, S @ b, rcond=None)[0]
    result = kron_lstsq(factors, b, "tensor-srht", m=200, seed=3)
    assert norm(result.x - expected) <= 1e-11 * norm(expected)
    assert math.isclose(result.residual_norm, norm(K @ result.x - b), rel_tol=1e-12)
    assert result.rank == K.shape[1]


def test_many_short_modes_are_not_made_longer():
    """A sketch of every pair would turn 2^18 entries into 32^9."""
    rng = np.random.default_rng(15)
    factors = [1 + rng.random(size=(2, 1)) for _ in range(18)]
    x = kron_lstsq(factors, reference.kron(factors).ravel(), "tensor-srht", m=32, seed=0).x
    assert np.abs(x - 1).max() <= 1e-12


def linf_errors(factors, b, m, seeds):
    """Return |x - x*|_inf sqrt(D) / (|r| |A^+|) for many seeds."""
    exact = kron_lstsq(factors, b)
    smallest = math.prod(float(np.linalg.svd(factor, compute_uv=False)[-1]) for factor in factors)
    unit = exact.residual_norm / smallest / math.sqrt(exact.x.size)
    return [
        float(np.abs(kron_lstsq(factors, b, "tensor-srht", m=m, seed=seed).x - exact.x).max()) / unit
        for seed in range(seeds)
    ]


def test_coefficients_are_as_good_as_those_of_gaussian_sketches():
    """The Gaussian formula holds with probability 0.95; medians of the normalised error are a half of it or less."""
    rng = np.random.default_rng(7)
    factors = [rng.normal(size=(60, 5)), rng.normal(size=(50, 6))]
    b = rng.normal(size=3000)
    for m in (120, 480, 1920):
        errors = linf_errors(factors, b, m, 100)
        assert np.quantile(errors, 0.95) <= reference.gaussian_linf(m, 30)
        assert np.median(errors) <= reference.gaussian_linf(m, 30) / 2
    assert np.median(errors) > 0.01


@pytest.mark.parametrize(("n", "columns"), [(64, (5, 6)), (16, (2, 2, 2, 4))])
def test_coefficients_are_so_on_the_hardest_input(n, columns):
    """Of identities over zeros, and b one entry beside them: where it meets a row of A in S, a coefficient is wrong."""
    factors = [np.eye(n, d) for d in columns]
    b = np.zeros((n,) * len(columns))
    b[columns] = 1
    D = math.prod(columns)
    for m in (16 * D, 64 * D):
        assert np.quantile(linf_errors(factors, b.ravel(), m, 60), 0.95) <= reference.gaussian_linf(m, D)


def test_sample_is_the_documented_one():
    rng = np.random.default_rng(8)
    factors = [matrix(rng, 300, 4), matrix(rng, 200, 3), matrix(rng, 5, 2)]
    factors[0][17] *= 100
    b = rng.normal(size=(300, 200, 5))
    m = 150
    result = kron_lstsq(factors, b, "sampling", m=m, seed=5)
    indices, probabilities = reference.sample(factors, m, 5)
    assert np.array_equal(result.indices, indices)
    weights = 1 / np.sqrt(m * probabilities)
    rows = np.stack([reference.kron([factor[i] for factor, i in zip(factors, row, strict=True)]) for row in indices])
    entries = b[tuple(indices.T)]
    expected = np.linalg.lstsq(rows * weights[:, np.newaxis], entries * weights, rcond=None)[0]
    assert result.x.shape == (4, 3, 2)
    assert norm(result.x.ravel() - expected) <= 1e-10 * norm(expected)
    assert math.isclose(result.residual_norm, norm(weights * (rows @ expected - entries)), rel_tol=1e-10)


def test_sampling_is_close_to_the_minimum_also_for_coherent_factors():
    """One row of each factor holds a direction alone: uniform rows would miss it."""
    rng = np.random.default_rng(9)
    factors = [rng.normal(size=(400, 3)), rng.normal(size=(300, 4))]
    for factor in factors:
        factor[:, -1] = 1e-6 * rng.normal(size=len(factor))
        factor[5, -1] = 1
    b = np.einsum("ia,jb,ab->ij", *factors, rng.normal(size=(3, 4))) + 0.1 * rng.normal(size=(400, 300))
    least = kron_lstsq(factors, b).residual_norm
    excesses, estimates = [], []
    for seed in range(30):
        result = kron_lstsq(factors, b, "sampling", seed=seed)
        assert result.indices.shape == (192, 2)
        excesses.append(norm(np.einsum("ia,jb,ab->ij", *factors, result.x) - b) / least - 1)
        estimates.append(result.residual_norm / least)
    assert 0 < np.median(excesses) < 0.06  # D / (2 m) = 0.03 for orthogonal noise
    assert 0.8 < np.mean(estimates) < 1


def test_sampling_reads_m_entries_of_a_function():
    rng = np.random.default_rng(10)
    factors = [rng.normal(size=(70, 2)), rng.normal(size=(50, 3))]
    b = rng.normal(size=(70, 50))
    calls = []

    def read(indices):
        calls.append(indices)
        return b[indices[:, 0], indices[:, 1]]

    result = kron_lstsq(factors, read, "sampling", m=80, seed=2)
    assert len(calls) == 1
    assert calls[0].shape == (80, 2)
    assert np.array_equal(calls[0], result.indices)
    assert result.x.shape == (2, 3)
    assert np.array_equal(result.x, kron_lstsq(factors, b, "sampling", m=80, seed=2).x)
    assert (result.indices.max(axis=0) < (70, 50)).all()

    entries = np.full((70, 50), np.nan)
    entries[tuple(result.indices.T)] = b[tuple(result.indices.T)]
    assert np.array_equal(kron_lstsq(factors, entries, "sampling", m=80, seed=2).x, result.x)


def test_a_function_of_a_grid_that_is_too_large_to_count():
    u = np.linspace(0, 1, 10_000)
    factors = [np.vander(u, 2, increasing=True)] * 6  # 1e24 rows
    result = kron_lstsq(factors, lambda indices: u[indices].sum(axis=1), "sampling", seed=1)
    expected = np.zeros((2,) * 6)
    for t in range(6):
        expected[tuple(int(s == t) for s in range(6))] = 1
    assert np.abs(result.x - expected).max() <= 1e-11


def test_errors_of_the_function_arrive():
    def read(indices):
        raise LookupError("no such entry")

    with pytest.raises(LookupError, match="no such entry"):
        kron_lstsq([np.eye(3)], read, "sampling")


def test_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(12)
    for shapes in ([(1500, 20), (700, 11)], [(90, 5), (120, 4), (130, 6)]):
        factors = [rng.normal(size=shape) for shape in shapes]
        b = rng.normal(size=[n for n, _ in shapes])
        for method in ("exact", "tensor-srht", "sampling"):
            first = kron_lstsq(factors, b, method, seed=1, n_threads=1)
            for n_threads in (2, 4):
                again = kron_lstsq(factors, b, method, seed=1, n_threads=n_threads)
                assert np.array_equal(first.x, again.x)
                assert first.residual_norm == again.residual_norm
        sketch = tensor_srht(factors, 900, 1, n_threads=1)
        assert np.array_equal(sketch, tensor_srht(factors, 900, 1, n_threads=4))


def test_seeds_decide():
    rng = np.random.default_rng(13)
    factors, b = [rng.normal(size=(20, 2)), rng.normal(size=(10, 2))], rng.normal(size=200)
    for method in ("tensor-srht", "sampling"):
        x = kron_lstsq(factors, b, method, seed=1).x
        assert np.array_equal(x, kron_lstsq(factors, b, method, seed=1).x)
        assert not np.array_equal(x, kron_lstsq(factors, b, method, seed=2).x)
        assert not np.array_equal(kron_lstsq(factors, b, method).x, kron_lstsq(factors, b, method).x)
    assert not np.array_equal(tensor_srht(factors, 9, 1), tensor_srht(factors, 9, 2))


def test_types_of_input_and_default_rows():
    rng = np.random.default_rng(14)
    single = [rng.normal(size=(9, 2)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float16)]
    b = rng.normal(size=72)
    assert kron_lstsq(single, b.astype(np.float32)).x.dtype == np.float32
    assert kron_lstsq(single, b).x.dtype == np.float64
    assert tensor_srht([single[0], [[1, 2], [3, 4]]], 3, 0).dtype == np.float64
    assert norm(kron_lstsq([factor.T.copy().T for factor in single], b).x - kron_lstsq(single, b).x) == 0
    assert kron_lstsq(single, b, "sampling").indices.shape == (64, 2)
    assert _core.kron_sketch_rows(1000) == math.ceil(4000 * math.log(1000))


A, C = np.ones((4, 2)), np.arange(6.0).reshape(3, 2)
NAN = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kron_lstsq([], [1.0]), ValueError, "factors is empty"),
        (lambda: kron_lstsq(5, [1.0]), TypeError, "factors is a int; it must be a sequence of matrices"),
        (lambda: kron_lstsq([A, [1.0, 2.0]], np.ones(8)), ValueError, r"factors\[1\] has shape \(2,\)"),
        (lambda: kron_lstsq([A, np.ones((3, 0))], np.ones(12)), ValueError, r"factors\[1\] has shape \(3, 0\)"),
        (lambda: kron_lstsq([A, np.ones((0, 3))], []), ValueError, r"factors\[1\] has shape \(0, 3\)"),
        (lambda: kron_lstsq([A, NAN], np.ones(12)), ValueError, r"factors\[1\] has the entry nan at index \(1, 1\)"),
        (lambda: kron_lstsq([A, C * 1j], np.ones(12)), TypeError, r"factors\[1\] has dtype complex128"),
        (lambda: kron_lstsq([A, np.ma.array(C)], np.ones(12)), TypeError, r"factors\[1\] is a masked array"),
        (lambda: kron_lstsq([A, C], np.ones(11)), ValueError, r"b has shape \(11,\), .*\(12,\) or \(4, 3\)"),
        (lambda: kron_lstsq([A, C], np.ones((3, 4))), ValueError, r"b has shape \(3, 4\), .*\(12,\) or \(4, 3\)"),
        (lambda: kron_lstsq([A, C], np.ones((2, 2, 3))), ValueError, r"b has shape \(2, 2, 3\)"),
        (lambda: kron_lstsq([A, C], [np.inf] * 12), ValueError, "b has the entry inf at index"),
        (lambda: kron_lstsq([A, C], [np.inf] * 12, "sampling"), ValueError, "b holds NaN or infinities"),
        (lambda: kron_lstsq([A, C], np.ones(12) * 1j), TypeError, "b has dtype complex128"),
        (lambda: kron_lstsq([A, C], lambda indices: 1), TypeError, "b is a function and method is 'exact'"),
        (lambda: kron_lstsq([A, C], lambda indices: [1.0], "sampling"), ValueError, r"b\(indices\) has shape \(1,\)"),
        (
            lambda: kron_lstsq([A, C], lambda indices: np.full(64, np.nan), "sampling"),
            ValueError,
            r"b\(indices\) has the entry nan",
        ),
        (
            lambda: kron_lstsq([A, C], lambda indices: np.ones(64) * 1j, "sampling"),
            TypeError,
            r"b\(indices\) has dtype",
        ),
        (lambda: kron_lstsq([A, C], np.ones(12), "fast"), ValueError, "method is 'fast'"),
        (lambda: kron_lstsq([A, C], np.ones(12), m=20), ValueError, "m is 20 and method is 'exact'"),
        (lambda: kron_lstsq([A, C], np.ones(12), "tensor-srht", m=3), ValueError, "m is 3, .* 4 columns"),
        (lambda: kron_lstsq([A, C], np.ones(12), "sampling", m=3), ValueError, "m is 3, .* 4 columns"),
        (lambda: kron_lstsq([A, C], np.ones(12), "sampling", m=2**31), ValueError, r"at most 2\*\*30"),
        (lambda: kron_lstsq([A, C], np.ones(12), "sampling", m=7.5), TypeError, "m is 7.5"),
        (
            lambda: kron_lstsq([A, C.T], np.ones(8), "tensor-srht"),
            ValueError,
            r"factors\[1\] has shape \(2, 3\); .*'tensor-srht'",
        ),
        (lambda: kron_lstsq([C.T, A], np.ones(8), "sampling"), ValueError, r"factors\[0\] has shape \(2, 3\)"),
        (lambda: kron_lstsq([A, C], np.ones(12), "sampling", seed=-1), ValueError, "seed is -1"),
        (lambda: kron_lstsq([A, C], np.ones(12), n_threads=0), ValueError, "n_threads is 0"),
        (lambda: kron_lstsq([np.ones((1, 2**16))] * 4, [1.0]), OverflowError, "more than can be counted"),
        (lambda: tensor_srht([], 3), ValueError, "factors is empty"),
        (lambda: tensor_srht([A, NAN], 3), ValueError, r"factors\[1\] has the entry nan"),
        (lambda: tensor_srht([A, C * 1j], 3), TypeError, r"factors\[1\] has dtype complex128"),
        (lambda: tensor_srht([A, C], 0), ValueError, "m is 0"),
        (lambda: tensor_srht([A, C], 2**31), ValueError, r"at most 2\*\*30"),
        (
            lambda: tensor_srht([A, C, np.ones((2, 3))], 5, khatri_rao=True),
            ValueError,
            r"factors\[2\] has shape \(2, 3\) and factors\[0\] has shape \(4, 2\)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()

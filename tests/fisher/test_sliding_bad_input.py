"""What fisher.SlidingFisherInverse says to bad input, which leaves the window as it was."""

import numpy as np
import pytest

from tests.fisher.gradients import STORAGES
from tests.fisher.window import Window


@pytest.fixture(params=[2, 5], ids=["partly filled", "full"])
def filled(request):
    sliding = Window(20, 4, 0.1)
    sliding.update_many(np.random.default_rng(11).normal(size=(request.param, 20)))
    return sliding


@pytest.mark.smoke
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("insert", ["update", "precondition", "update_many"])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_gradient_that_is_not_finite_leaves_the_window_as_it_was(storage, insert, bad):
    rng = np.random.default_rng(12)
    for filling in (2, 5):
        sliding, twin = Window(20, 4, 0.1, storage=storage), Window(20, 4, 0.1, storage=storage)
        G, x = rng.normal(size=(filling + 1, 20)).astype(np.float32), rng.normal(size=20).astype(np.float32)
        for window in (sliding, twin):
            window.update_many(G[:-1])
        g = rng.normal(size=(3, 20))
        g[1, 17] = bad
        name = "G" if insert == "update_many" else "g"
        with pytest.raises(ValueError, match=rf"\b{name}\b.*{'1' if insert == 'update_many' else ''}"):
            getattr(sliding, insert)(g if insert == "update_many" else g[1])
        assert sliding.n_stored == twin.n_stored
        for age in range(twin.n_stored):
            np.testing.assert_array_equal(sliding.gradient(age), twin.gradient(age))
        np.testing.assert_array_equal(sliding.matvec(x), twin.matvec(x))
        np.testing.assert_array_equal(sliding.precondition(G[-1]), twin.precondition(G[-1]))
        np.testing.assert_array_equal(sliding.matvec(x), twin.matvec(x))


@pytest.mark.parametrize(("storage", "large"), [("float32", 1e300), ("float16", 1e300), ("float64", 1e200)])
def test_a_gradient_too_large_leaves_the_window_as_it_was(storage, large):
    sliding = Window(3, 4, 0.1, storage=storage)
    sliding.update(np.ones(3))
    before = sliding.matvec(np.ones(3))
    with pytest.raises((OverflowError, ValueError), match=r"\bg\b"):
        sliding.update(np.array([1.0, large, 1.0]))
    assert sliding.n_stored == 1
    np.testing.assert_array_equal(sliding.matvec(np.ones(3)), before)


def test_shapes_that_do_not_fit_are_named(filled):
    before = filled.matvec(np.ones(20))
    n_stored = filled.n_stored
    for shape in ((19,), (21,), (0,), (20, 1), (1, 20), ()):
        for insert in (filled.update, filled.precondition):
            with pytest.raises(ValueError, match=r"\bg has shape"):
                insert(np.ones(shape))
    for shape in ((2, 19), (2, 21), (2, 0), (20,), (1, 1, 20)):
        with pytest.raises(ValueError, match=r"\bG has shape"):
            filled.update_many(np.ones(shape))
    for length in (0, 19, 21):
        with pytest.raises(ValueError, match=rf"\bx has shape \({length},\)"):
            filled.matvec(np.ones(length))
    with pytest.raises(ValueError, match=r"has shape \(19, 2\)"):
        filled.matmat(np.ones((19, 2)))
    for length in (0, n_stored - 1, n_stored + 1):
        with pytest.raises(ValueError, match=rf"\ba has shape \({length},\)"):
            filled.combination(np.ones(length))
    assert filled.n_stored == n_stored
    np.testing.assert_array_equal(filled.matvec(np.ones(20)), before)


@pytest.mark.parametrize(
    ("method", "name", "shape"),
    [
        ("update", "g", (20,)),
        ("precondition", "g", (20,)),
        ("update_many", "G", (2, 20)),
        ("matvec", "x", (20,)),
        ("combination", "a", (4,)),
    ],
)
def test_complex_numbers_are_a_type_error(method, name, shape):
    sliding = Window(20, 4)
    sliding.update_many(np.ones((4, 20)))
    with pytest.raises(TypeError, match=rf"\b{name} has dtype complex128"):
        getattr(sliding, method)(np.ones(shape, complex))


def test_age_out_of_range_is_an_index_error(filled):
    for method in (filled.gradient, filled.remove):
        for age in (filled.n_stored, filled.n_stored + 7):
            with pytest.raises(IndexError, match=r"\bage\b"):
                method(age)
        with pytest.raises((IndexError, ValueError), match=r"\bage\b"):
            method(-filled.n_stored - 1)


def test_damping_of_a_window_must_be_positive_and_finite(filled):
    before = filled.matvec(np.ones(20))
    for bad in (0.0, -1e-5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"\bdamping\b"):
            Window(20, 4, bad)
        with pytest.raises(ValueError, match=r"\bdamping\b"):
            filled.set_damping(bad)
    np.testing.assert_array_equal(filled.matvec(np.ones(20)), before)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"n_params": 0}, ValueError, "n_params"),
        ({"n_params": -3}, ValueError, "n_params"),
        ({"n_params": 2.5}, TypeError, "n_params"),
        ({"window": 0}, ValueError, "window"),
        ({"window": 2.5}, TypeError, "window"),
        ({"normalize": "mean"}, ValueError, "normalize"),
        ({"storage": "int8"}, ValueError, "storage"),
        ({"method": "woodbury"}, ValueError, "method"),
        ({"n_threads": 0}, ValueError, "n_threads"),
    ],
    ids=str,
)
def test_bad_argument_is_named(options, error, name):
    with pytest.raises(error, match=rf"\b{name}\b"):
        Window(**{"n_params": 3, "window": 2, **options})

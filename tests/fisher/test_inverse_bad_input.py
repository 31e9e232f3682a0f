"""What fisher.FisherInverse says to bad input."""

import copy

import numpy as np
import pytest
import scipy.sparse

import nearlinear as nl


@pytest.mark.parametrize("damping", [0, 0.0, -1e-5, np.nan, np.inf, -np.inf])
def test_damping_must_be_positive_and_finite(damping):
    with pytest.raises(ValueError, match=r"\bdamping\b"):
        nl.fisher.FisherInverse(np.ones((2, 3)), damping)
    with pytest.raises(ValueError, match=r"\bdamping\b"):
        nl.fisher.FisherInverse(np.ones((2, 3)), [1.0, damping], block_size=2)


@pytest.mark.parametrize("damping", [np.ones(2), np.ones(4), np.ones((1, 3)), []])
def test_damping_must_fit_the_blocks(damping):
    with pytest.raises(ValueError, match=r"\bdamping\b"):
        nl.fisher.FisherInverse(np.ones((2, 7)), damping, block_size=3)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (3,), (2, 3, 4), ()])
def test_gradients_must_have_rows_and_columns(shape):
    with pytest.raises(ValueError, match=r"\bgrads\b"):
        nl.fisher.FisherInverse(np.ones(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"block_size": 10}, {"method": "recurrence"}, {"storage": "float16"}], ids=str)
@pytest.mark.parametrize("column", [0, 41, 4999])
def test_a_gradient_that_is_not_finite_is_named(bad, dtype, options, column):
    G = np.ones((29, 5000 if "method" not in options else 50), dtype)
    G[23, min(column, G.shape[1] - 1)] = bad
    G[27, 3] = bad  # the first one counts
    with pytest.raises(ValueError, match=r"\bgrads\b.*\b23\b"):
        nl.fisher.FisherInverse(G, **options)


@pytest.mark.parametrize("options", [{"storage": "float32"}, {"storage": "float16"}, {"storage": "bfloat16"}], ids=str)
def test_a_gradient_too_large_for_its_storage_is_refused(options):
    """Inf must not come out of finite input."""
    with pytest.raises((OverflowError, ValueError), match=r"\bgrads\b"):
        nl.fisher.FisherInverse(np.array([[1.0, 2.0], [1e300, 1.0]]), **options)


def test_a_gradient_whose_square_overflows_is_refused():
    with pytest.raises((OverflowError, ValueError), match=r"\bgrads\b"):
        nl.fisher.FisherInverse(np.array([[1.0, 2.0], [1e200, 1.0]]))


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"block_size": 0}, ValueError, "block_size"),
        ({"block_size": -1}, ValueError, "block_size"),
        ({"block_size": 1.5}, TypeError, "block_size"),
        ({"storage": "int8"}, ValueError, "storage"),
        ({"normalize": "mean"}, ValueError, "normalize"),
        ({"normalize": "capacity"}, ValueError, "normalize"),  # only a window has one
        ({"normalize": 0.0}, ValueError, "normalize"),
        ({"normalize": -1.0}, ValueError, "normalize"),
        ({"normalize": np.nan}, ValueError, "normalize"),
        ({"normalize": np.inf}, ValueError, "normalize"),
        ({"method": "woodbury"}, ValueError, "method"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"callback": 3}, TypeError, "callback"),
        ({"damping": "much"}, TypeError, "damping"),
        ({"grads": np.ones((2, 3), complex)}, TypeError, "grads"),
        ({"grads": scipy.sparse.eye_array(3)}, TypeError, "grads"),
        ({"grads": None}, TypeError, "grads"),
    ],
    ids=str,
)
def test_bad_argument_is_named(options, error, name):
    with pytest.raises(error, match=rf"\b{name}\b"):
        nl.fisher.FisherInverse(**{"grads": np.ones((2, 3)), **options})


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        nl.fisher.FisherInverse(np.ones((2, 3)), 1e-5, 2)


@pytest.mark.parametrize("product", ["matvec", "rmatvec", "solve", "sqrt_matvec", "fisher_matvec", "quad_form"])
def test_vector_that_does_not_fit_is_named(product):
    call = getattr(nl.fisher.FisherInverse(np.ones((2, 5))), product)
    for length in (0, 4, 6):
        with pytest.raises(ValueError, match=rf"\b[xb] has shape \({length},\)"):
            call(np.ones(length))
    with pytest.raises(TypeError, match=r"\b[xb] has dtype complex128"):
        call(np.ones(5, complex))


def test_matrix_that_does_not_fit_shows_its_shape():
    finv = nl.fisher.FisherInverse(np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"has shape \(4, 2\)"):
        finv.matmat(np.ones((4, 2)))
    with pytest.raises(TypeError, match="complex128"):
        finv.matmat(np.ones((5, 2), complex))


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize("bad", [5, -6, 2**40])
def test_index_out_of_range_is_an_index_error(bad, block_size):
    finv = nl.fisher.FisherInverse(np.ones((2, 5)), block_size=block_size)
    with pytest.raises(IndexError, match=r"\bi\b"):
        finv.element(bad, 0)
    with pytest.raises(IndexError, match=r"\bj\b"):
        finv.element([0, 1], [0, bad])
    with pytest.raises(IndexError, match=r"\brows\b"):
        finv.submatrix([0, bad], [1])
    with pytest.raises(IndexError, match=r"\bcols\b"):
        finv.submatrix([1], [bad])


def test_a_failure_leaves_the_operator_as_it_was():
    finv = nl.fisher.FisherInverse(np.random.default_rng(16).normal(size=(3, 5)), 0.1)
    expected = copy.deepcopy(finv.matvec(np.ones(5)))
    with pytest.raises(ValueError, match="x has shape"):
        finv.matvec(np.ones(6))
    with pytest.raises(IndexError):
        finv.element(9, 9)
    np.testing.assert_array_equal(finv.matvec(np.ones(5)), expected)

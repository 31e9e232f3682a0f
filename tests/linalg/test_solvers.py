import logging
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import nearlinear as nl
from tests.linalg import reference


def positive_definite(rng, count, k, dtype=np.float64, condition=100.0):
    """Random eigenvectors, eigenvalues from 1 down to 1 / condition."""
    Q = np.linalg.qr(rng.normal(size=(count, k, k)))[0]
    A = (Q * condition ** -np.linspace(0, 1, k)) @ Q.transpose(0, 2, 1)
    return ((A + A.transpose(0, 2, 1)) / 2).astype(dtype)


def gamma(n, dtype):
    return n * np.finfo(dtype).eps / 2 / (1 - n * np.finfo(dtype).eps / 2)


def assert_solves(A, B, x, ridge=0.0):
    """Higham's theorem 10.4: |A x - b| <= gamma_{3k+7} |L| |L^T| |x|, twice that for the error of L itself."""
    for matrix, rhs, solution in zip(A, B, x, strict=True):
        shifted = matrix.astype(np.longdouble) + ridge * np.eye(len(matrix))
        L = np.abs(reference.cholesky(shifted))
        bound = 2 * gamma(3 * len(matrix) + 7, x.dtype) * (L @ (L.T @ np.abs(solution.astype(np.longdouble))))
        assert (np.abs(shifted @ solution.astype(np.longdouble) - rhs) <= bound).all()


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(60))
def test_batch_agrees_with_the_definition(seed, dtype):
    rng = np.random.default_rng(seed)
    count, k, r = rng.integers(1, 12), rng.integers(1, 40), rng.integers(0, 5)
    A = positive_definite(rng, count, k, dtype)
    B = rng.normal(size=(count, k) if r == 0 else (count, k, r)).astype(dtype)
    result = nl.linalg.solve_spd_batch(A, B, ridge=0.5 * (seed % 2))
    assert result.success
    assert result.x.dtype == dtype
    assert_solves(A, B, result.x, ridge=0.5 * (seed % 2))


@pytest.mark.parametrize("k", [5, 130])
def test_indefinite_systems_of_a_batch_are_reported(k):
    rng = np.random.default_rng(1)
    A, B = positive_definite(rng, 9, k), rng.normal(size=(9, k, 2))
    expected = nl.linalg.solve_spd_batch(A, B).x
    A[[2, 7], k - 1, k - 1] = -1.0
    result = nl.linalg.solve_spd_batch(A, B)
    assert not result.success
    assert result.status == 1
    assert result.message == "2 of 9 systems are not positive definite"
    np.testing.assert_array_equal(result.info, [0, 0, k, 0, 0, 0, 0, k, 0])
    assert np.isnan(result.x[[2, 7]]).all()
    np.testing.assert_array_equal(result.x[[0, 1, 3, 4, 5, 6, 8]], expected[[0, 1, 3, 4, 5, 6, 8]])


def test_batch_without_checks_reports_what_is_not_finite():
    A = np.array([[[1.0]], [[np.nan]], [[np.inf]]])
    np.testing.assert_array_equal(nl.linalg.solve_spd_batch(A, np.ones((3, 1)), check_finite=False).info, [0, 1, 1])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (0, 3, 2), (3, 0, 2), (3, 4, 0)])
def test_empty_batches_give_empty_results(shape):
    A = np.broadcast_to(np.eye(shape[1]), (shape[0], shape[1], shape[1]))
    result = nl.linalg.solve_spd_batch(A, np.ones(shape))
    assert result.x.shape == shape
    assert result.success


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, 20), k=st.integers(1, 20), seed=st.integers(0, 2**32 - 1), n_threads=st.integers(1, 4))
def test_a_system_does_not_depend_on_its_place(count, k, seed, n_threads):
    rng = np.random.default_rng(seed)
    A, b = positive_definite(rng, count, k), rng.normal(size=(count, k))
    x = nl.linalg.solve_spd_batch(A, b, n_threads=n_threads).x
    order = rng.permutation(count)
    np.testing.assert_array_equal(nl.linalg.solve_spd_batch(A[order], b[order]).x, x[order])
    np.testing.assert_array_equal(nl.linalg.solve_spd_batch(A[:1], b[:1]).x, x[:1])


def test_batch_refuses_shapes_that_do_not_match():
    solve = nl.linalg.solve_spd_batch
    with pytest.raises(ValueError, match=r"A has shape \(2, 3, 4\); its matrices must be square"):
        solve(np.ones((2, 3, 4)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"A has shape \(2, 3, 3\) and B has shape \(3, 3\)"):
        solve(np.ones((2, 3, 3)), np.ones((3, 3)))
    for ridge in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"ridge is .*; it must be finite and not negative"):
            solve(np.ones((2, 3, 3)), np.ones((2, 3)), ridge=ridge)
    with pytest.raises(TypeError, match="ridge is 'one'; it must be a number"):
        solve(np.ones((2, 3, 3)), np.ones((2, 3)), ridge="one")


def forms(A):
    return {
        "array": A,
        "csr": scipy.sparse.csr_array(A),
        "csc": scipy.sparse.csc_matrix(A),
        "operator": scipy.sparse.linalg.aslinearoperator(A),
    }


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["array", "csr", "csc", "operator"])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_conjugate_gradient_solves(seed, several, form, dtype):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    A = positive_definite(rng, 1, n, dtype, condition=30)[0]
    b = rng.normal(size=(n, 3) if several else n).astype(dtype)
    preconditioner = np.diag(1 / np.diag(A)) if seed % 2 == 0 else None
    x0 = rng.normal(size=b.shape) if seed % 3 == 0 else None
    result = nl.linalg.conjugate_gradient(forms(A)[form], b, x0=x0, preconditioner=preconditioner)
    assert result.success
    assert result.x.dtype == dtype
    assert result.x.shape == b.shape
    tol = 1e-4 if dtype == np.float32 else 1e-8
    residual = np.linalg.norm(b - A.astype(np.longdouble) @ result.x, axis=0)
    slack = gamma(n + 2, dtype) * np.linalg.norm(np.abs(A) @ np.abs(result.x) + np.abs(b), axis=0)
    assert (residual <= tol * np.linalg.norm(b, axis=0) + slack).all()
    assert (np.abs(residual - result.residual_norm) <= slack).all()


def test_conjugate_gradient_takes_as_many_iterations_as_the_textbook():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        A, b = positive_definite(rng, 1, 30, condition=10)[0], rng.normal(size=30)
        _, iterations = reference.conjugate_gradient(A, b, 0.9e-8)
        assert abs(nl.linalg.conjugate_gradient(A, b).nit - iterations) <= 1


def test_conjugate_gradient_states_why_it_ended():
    rng = np.random.default_rng(3)
    A, b = positive_definite(rng, 1, 40, condition=1e4)[0], rng.normal(size=40)
    assert nl.linalg.conjugate_gradient(A, b, maxiter=3).status == 1
    assert nl.linalg.conjugate_gradient(A, b, callback=lambda state: state.nit == 4).status == 2
    limit = nl.linalg.conjugate_gradient(A, b, tol=0, maxiter=10**6)
    assert limit.status == 3
    assert limit.residual_norm < 1e-9 * np.linalg.norm(b)
    broken = nl.linalg.conjugate_gradient(-A, b)
    assert (broken.status, broken.success) == (4, False)
    assert "not positive definite" in broken.message
    mixed = nl.linalg.conjugate_gradient(A, np.stack([b, 0 * b], axis=1), maxiter=2)
    np.testing.assert_array_equal(mixed.info, [1, 0])


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["array", "csr", "csc", "operator"])
@pytest.mark.parametrize("seed", range(8))
def test_lsqr_finds_a_least_squares_solution(seed, form, dtype):
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 40, size=2)
    A = rng.normal(size=(m, n)).astype(dtype)
    b = rng.normal(size=m).astype(dtype)
    damp = 0.3 * (seed % 2)
    x0 = rng.normal(size=n).astype(dtype) if seed % 3 == 0 else np.zeros(n, dtype)
    options = {"damp": damp, "x0": x0, "atol": 1e-5 if dtype == np.float32 else 1e-12, "btol": 0.0, "conlim": 0}
    result = nl.linalg.lsqr(forms(A)[form], b, maxiter=100 * n, **options)
    assert result.success
    assert result.x.dtype == dtype
    exact = reference.damped_least_squares(A.astype(float), b.astype(float), damp, x0.astype(float))
    singular = np.linalg.svd(np.vstack([A, damp * np.eye(n)]).astype(float), compute_uv=False)
    condition = singular[0] / singular[singular > 1e-10 * singular[0]][-1]
    # Wedin: what atol and the rounding errors change is amplified by condition^2 ||r|| + condition ||x||.
    size = np.linalg.norm(exact) + np.linalg.norm(x0) + np.linalg.norm(b) / singular[0]
    error = max(options["atol"], 100 * np.finfo(dtype).eps) * condition**2 * size
    assert np.linalg.norm(result.x - exact) <= 10 * error


def test_lsqr_agrees_with_scipy():
    rng = np.random.default_rng(5)
    A = scipy.sparse.random_array((200, 80), density=0.1, format="csr", rng=rng) + scipy.sparse.eye_array(200, 80)
    b = rng.normal(size=200)
    ours = nl.linalg.lsqr(A, b, atol=1e-6, btol=1e-6, conlim=1e8)
    x, istop, itn, r1norm, _, anorm, acond, arnorm, xnorm, _ = scipy.sparse.linalg.lsqr(A, b, atol=1e-6, btol=1e-6)
    assert (ours.status, ours.nit) == (istop, itn)
    estimates = [ours.residual_norm, ours.norm, ours.condition, ours.normal_residual_norm, ours.solution_norm]
    np.testing.assert_allclose(estimates, [r1norm, anorm, acond, arnorm, xnorm], rtol=1e-6)
    np.testing.assert_allclose(ours.x, x, rtol=1e-6)


def test_lsqr_with_a_preconditioner():
    rng = np.random.default_rng(6)
    A = rng.normal(size=(60, 20)) * 10.0 ** -np.linspace(0, 6, 20)
    b = rng.normal(size=60)
    R = np.linalg.qr(A)[1]
    result = nl.linalg.lsqr(A, b, preconditioner=np.linalg.inv(R), atol=1e-13, btol=1e-13, conlim=0)
    assert result.success
    assert result.nit <= 3
    np.testing.assert_allclose(result.x, np.linalg.lstsq(A, b)[0], rtol=1e-6)


@pytest.mark.parametrize("solve", [nl.linalg.conjugate_gradient, nl.linalg.lsqr], ids=["conjugate_gradient", "lsqr"])
class TestBothMethods:
    A = np.diag(np.arange(1.0, 31.0))
    b = np.ones(30)

    def test_callback_sees_every_iteration(self, solve):
        states = []
        result = solve(self.A, self.b, callback=states.append)
        assert [state.nit for state in states] == list(range(1, result.nit + 1))
        assert all(isinstance(state.residual_norm, float) for state in states)

    def test_exceptions_come_out(self, solve):
        def fail(_):
            raise LookupError("from the callback")

        with pytest.raises(LookupError, match="from the callback"):
            solve(self.A, self.b, callback=fail)
        operator = scipy.sparse.linalg.LinearOperator((30, 30), matvec=fail, rmatvec=fail, dtype=float)
        with pytest.raises(LookupError, match="from the callback"):
            solve(operator, self.b)

    def test_verbose_logs(self, solve, caplog):
        with caplog.at_level(logging.INFO, logger="nearlinear"):
            solve(self.A, self.b, verbose=True)
        assert "100 % done" in caplog.text

    def test_ctrl_c_stops_a_call(self, solve):
        class Endless:
            shape, dtype = (30, 30), np.dtype(float)

            def __init__(self, A):
                self.A = A

            def matmat(self, X):
                return self.A @ X

            rmatmat = matmat

        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        rng = np.random.default_rng(0)
        hard = positive_definite(rng, 1, 30, condition=1e15)[0]
        options = {"atol": 0, "btol": 0, "conlim": 0} if solve is nl.linalg.lsqr else {"tol": 0}

        def run_for_ever():
            while True:
                solve(Endless(hard), self.b, maxiter=10**9, **options)

        with pytest.raises(KeyboardInterrupt):
            run_for_ever()

    def test_threads_leave_the_bits_alone(self, solve):
        rng = np.random.default_rng(7)
        A, b = positive_definite(rng, 1, 600, condition=50)[0], rng.normal(size=600)
        expected = solve(A, b, n_threads=1).x
        for n_threads in (2, 4):
            np.testing.assert_array_equal(solve(A, b, n_threads=n_threads).x, expected)

    def test_bad_operators_are_named(self, solve):
        def operator(result, dtype=float):
            matvec = lambda x: result  # noqa: E731
            return type(
                "Op",
                (),
                {
                    "shape": (3, 3),
                    "dtype": np.dtype(dtype),
                    "matmat": staticmethod(matvec),
                    "rmatmat": staticmethod(matvec),
                },
            )()

        with pytest.raises(
            ValueError, match=r"A of shape \(3, 3\) times a matrix of shape \(3, 1\) has shape \(2, 1\)"
        ):
            solve(operator(np.ones((2, 1))), np.ones(3))
        with pytest.raises(TypeError, match="A times a matrix has dtype complex128"):
            solve(operator(np.ones((3, 1), complex)), np.ones(3))
        with pytest.raises(TypeError, match="A has dtype complex128"):
            solve(operator(np.ones((3, 1)), complex), np.ones(3))
        with pytest.raises(ValueError, match="A has entries that are NaN or Inf"):
            solve(scipy.sparse.csr_array([[np.nan]]), np.ones(1))
        with pytest.raises(ValueError, match=r"A has the entry nan at index \(0, 0\)"):
            solve([[np.nan]], np.ones(1))
        with pytest.raises(TypeError, match="A has dtype complex128"):
            solve(np.ones((3, 3), complex), np.ones(3))

    def test_bad_shapes_and_options_are_named(self, solve):
        with pytest.raises(ValueError, match=r"A has shape \(30, 30\) and b has shape \(3,\)"):
            solve(self.A, np.ones(3))
        with pytest.raises(ValueError, match=r"x0 has shape \(3,\); it must have shape \(30,\)"):
            solve(self.A, self.b, x0=np.ones(3))
        with pytest.raises(ValueError, match=r"preconditioner has shape \(2, 2\); it must have shape \(30, 30\)"):
            solve(self.A, self.b, preconditioner=np.eye(2))
        with pytest.raises(ValueError, match="maxiter is -1; it must be at least 0"):
            solve(self.A, self.b, maxiter=-1)
        with pytest.raises(TypeError, match="callback is 3; it must be callable or None"):
            solve(self.A, self.b, callback=3)
        with pytest.raises(ValueError, match="n_threads is 0; it must be at least 1"):
            solve(self.A, self.b, n_threads=0)
        name = "atol" if solve is nl.linalg.lsqr else "tol"
        with pytest.raises(ValueError, match=f"{name} is -1.0; it must be finite and not negative"):
            solve(self.A, self.b, **{name: -1})

    def test_inputs_are_never_written(self, solve):
        inputs = [self.A.copy(), self.b.copy(), np.full(30, 0.5)]
        for array in inputs:
            array.flags.writeable = False
        solve(inputs[0], inputs[1], x0=inputs[2])
        np.testing.assert_array_equal(inputs[2], np.full(30, 0.5))

    def test_empty_problems_are_solved(self, solve):
        result = solve(np.ones((0, 0)), np.ones(0))
        assert result.success
        assert result.x.shape == (0,)


def test_conjugate_gradient_refuses_a_rectangle():
    with pytest.raises(ValueError, match=r"A has shape \(2, 3\); it must be square"):
        nl.linalg.conjugate_gradient(np.ones((2, 3)), np.ones(2))


def test_every_instruction_set_solves():
    script = (
        "import numpy as np, nearlinear as nl;"
        "rng = np.random.default_rng(0); G = rng.normal(size=(50, 12, 15)); A = G @ G.transpose(0, 2, 1);"
        "b = rng.normal(size=(50, 12)); x = nl.linalg.solve_spd_batch(A, b).x;"
        "print(np.abs((A @ x[..., None])[..., 0] - b).max() < 1e-10,"
        "      nl.linalg.conjugate_gradient(A[0] + np.eye(12), b[0]).success)"
    )
    for isa in ("base", "v3", "v4"):
        environment = {**os.environ, "NEARLINEAR_ISA": isa}
        assert subprocess.check_output([sys.executable, "-c", script], env=environment, text=True) == "True True\n"

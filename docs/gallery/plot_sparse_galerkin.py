"""
The coarse grid of a two-grid method
====================================

A two-grid method solves A x = b on a fine grid: a few steps of Jacobi's method smooth the error, and what is left is
smooth enough to be computed on a coarse grid, where the matrix is the Galerkin product R A P. P interpolates from the
coarse grid to the fine one, and R is its transpose. However fine the grid is, a cycle reduces the error by the same
factor, while the method of conjugate gradients needs more steps on every finer grid.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure

import nearlinear as nl

folder = TemporaryDirectory()
pictures = Path(folder.name)


# %%
# A is the Laplacian on a square of points x points places, P is bilinear interpolation from every other one.
def fine_grid(points):
    second_difference = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(points, points))
    half = sp.diags_array([0.5, 1.0, 0.5], offsets=[1, 0, -1], shape=(points, points))
    interpolation = half.tocsc()[:, 1::2]  # 1 at the coarse points, 1/2 at their neighbours
    A = sp.csr_array(sp.kronsum(second_difference, second_difference))
    return A, sp.csr_array(sp.kron(interpolation, interpolation))


# %%
# The weights are powers of two and the entries small integers, so that nothing is rounded: SciPy's two products give
# the same numbers. In the middle of the grid they are the stencil that the textbooks have.
def galerkin(A, P):
    coarse = nl.sparse.triple_product(P.T, A, P)
    assert abs(coarse - P.T @ A @ P).nnz == 0
    return coarse


A, P = fine_grid(7)
stencil = galerkin(A, P).toarray()[4].reshape(3, 3)
print(stencil)
assert (stencil == np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]]) / 4).all()


# %%
# One cycle: a step of Jacobi's method, damped by 4/5, the correction from the coarse grid, and a second step.
def two_grid(A, P, b, cycles):
    solve_coarse = sp.linalg.splu(galerkin(A, P).tocsc()).solve
    weights = 0.8 / A.diagonal()
    x = np.zeros_like(b)
    norms = [np.linalg.norm(b)]
    for _ in range(cycles):
        x += weights * (b - A @ x)
        x += P @ solve_coarse(P.T @ (b - A @ x))
        x += weights * (b - A @ x)
        norms.append(np.linalg.norm(b - A @ x))
    return x, np.array(norms) / norms[0]


def conjugate_gradients(A, b, steps):
    norms = [np.linalg.norm(b)]
    sp.linalg.cg(A, b, rtol=0.0, maxiter=steps, callback=lambda x: norms.append(np.linalg.norm(b - A @ x)))
    return np.array(norms) / norms[0]


# %%
# By the theory of smoothing two steps of Jacobi's method reduce the rough half of the error by 0.6^2 = 0.36, and the
# coarse grid takes the smooth half away: that is what a cycle gains, on each grid.
figure = Figure(figsize=(9, 5), layout="constrained")
axes = figure.subplots()
for points, style in ((31, ":"), (63, "--"), (127, "-")):
    A, P = fine_grid(points)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    x, norms = two_grid(A, P, b, cycles=24)
    factor = (norms[24] / norms[14]) ** (1 / 10)
    print(f"{A.shape[0]} unknowns, {P.shape[1]} of them coarse: the residual shrinks by {factor:.3f} per cycle")
    assert factor < 0.36
    assert np.allclose(x, sp.linalg.spsolve(A.tocsc(), b), rtol=0, atol=1e-9 * abs(x).max())
    axes.semilogy(norms, style, color="C0", label=f"two grids, {points} x {points}")
    axes.semilogy(conjugate_gradients(A, b, 200), style, color="0.5", label=f"conjugate gradients, {points} x {points}")
axes.set(xlabel="cycles or steps", ylabel="residual, relative", ylim=(1e-11, 2), xlim=(0, 200))
axes.set_title("The finer the grid, the more steps, but not more cycles")
figure.legend(loc="outside lower center", frameon=False, ncols=3)
axes.grid(alpha=0.3)
figure.savefig(pictures / "galerkin.png", dpi=130)

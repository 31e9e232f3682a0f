r"""
A photograph, half of which is hidden
=====================================

A photograph of 512 x 512 pixels is nearly of low rank: the best approximation of rank 40 is off by 0.145 standard
deviations. Of the pixels that a fair coin keeps, :func:`nearlinear.completion.complete` fits

.. math:: X_{ij} \approx \mu + b_i + c_j + u_i^T v_j , \qquad u_i, v_j \in \mathbb{R}^{40} ,

with a ridge, and fills the others: they are off by 0.21. The peer is the textbook's alternating least squares in NumPy.
It ends at the same errors, after more sweeps. A rank does not know which pixels are neighbours; interpolation between
those does, and is off by 0.145 here. For tables whose rows have no order there is no such thing.

The other task is one that the peer does not solve: matrices of rank 5 from 1.3 times as many entries as they have
degrees of freedom, without noise. Its error is measured on the entries that are hidden.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure

import nearlinear as nl
from nearlinear.demo import completion

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in completion.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# **What the path does.** Alternation that begins at :math:`\lambda = 0` fits what is seen with some matrix, and few
# entries admit many that nearly do. A ridge on U and V is the nuclear norm of their product. Where it comes down from
# far above, the solution is followed from a matrix of zeros on, singular values come up one by one, and in the end, at
# :math:`\lambda = 0`, a few Newton steps are left. :meth:`nearlinear.completion.Completion.plot` draws it.
truth, seen = completion.few_entries(0)
figure = Figure(figsize=(10, 4), layout="constrained")
for axes, homotopy in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
    result = nl.completion.complete(truth, 5, mask=seen, homotopy=homotopy, maxiter=1000, seed=0)
    error = np.linalg.norm((result.dense() - truth)[~seen]) / np.linalg.norm(truth[~seen])
    print(f"homotopy={homotopy}: {result.nit} iterations, hidden entries are off by {error:.1e}")
    result.plot(axes)
    axes.set_title(f"homotopy={homotopy}, error {error:.0e}")
figure.savefig(pictures / "path.png", dpi=130)
assert error < 1e-5

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/completion.py

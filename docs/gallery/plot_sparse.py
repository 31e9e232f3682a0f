"""
Squares of two real matrices
============================

Entry (i, j) of A A tells whether a path of two steps leads from i to j. Products like it are the core of algebraic
multigrid, of graph algorithms and of the elimination of unknowns. The first matrix is the circuit of a computer memory,
the second the Jacobian of the power flow, at equal voltages, of a grid of 10000 buses. The error is measured entry by
entry, in units of the bound that :func:`nearlinear.sparse.matmul` states; the peer is SciPy's product with its rows
sorted.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from nearlinear.demo import sparse

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in sparse.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/sparse.py

r"""
A photograph with the colours of another
========================================

The colours of a picture are points in the cube of red, green and blue. Of a cup of coffee and of a cat, 1000 pixels
each are two clouds of points :math:`x_i` and :math:`y_j` in it. :func:`nearlinear.ot.sinkhorn` finds the plan that
carries one cloud to the other at the least cost :math:`\sum_{ij} P_{ij} \|x_i - y_j\|^2`, less some entropy, and
:meth:`nearlinear.ot.SinkhornResult.transform` sends every pixel x to the mean of where its mass would go,

.. math:: T(x) = \frac{\sum_j w_j(x) \, y_j}{\sum_j w_j(x)} , \qquad
          w_j(x) = \exp \bigl( (g_j - \|x - y_j\|^2) / \mathrm{reg} \bigr) .

The colours are close to those of the other photograph, and none is outside the hull of them.

At the larger regularisation, the colours are compared with those that Sinkhorn's algorithm in the logarithmic domain
finds. At the smaller that takes too long; there the marginals are computed anew, since a plan of this form that has the
right ones is the solution. The peer is POT where it is installed, or else NumPy: Sinkhorn's algorithm on a stored
kernel. The error that it reaches stands beside its name.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from nearlinear.demo import ot

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in ot.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/ot.py

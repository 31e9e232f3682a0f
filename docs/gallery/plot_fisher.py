r"""
Pruning a network that reads digits
===================================

Which 80 % or 90 % of its 6570 weights can a network do without? Optimal brain surgeon answers with the inverse of
:math:`F = \lambda I + \frac1m \sum_i g_i g_i^T`, here of the gradients :math:`g_i` of 512 images: it prunes the weights
whose loss the others can best make up for, and changes those others. They are compared on images that the network has
never seen: the smallest weights go; each pruned weight is made up for alone; all of them jointly; and jointly in 8
rounds, each with gradients at the weights that the last one left.

The products, the saliencies and the joint step are checked against F itself, a dense matrix of 6570 rows; the peer is
Woodbury's identity in NumPy and SciPy.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from nearlinear.demo import fisher

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in fisher.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/fisher.py

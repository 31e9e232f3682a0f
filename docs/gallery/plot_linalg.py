r"""
Learning parity with noise
==========================

Find a secret :math:`s` of 20 bits behind samples :math:`(a_k, b_k)`, where :math:`b_k` is the parity
:math:`\langle a_k, s \rangle` mod 2, which is wrong with probability 0.45. This is the last step of the attack of Blum,
Kalai and Wasserman on cryptosystems that rest on this problem.

Let :math:`f(a)` be the sum of :math:`(-1)^{b_k}` over the samples with :math:`a_k = a`. Its Walsh-Hadamard transform
:math:`F(s) = \sum_a f(a) (-1)^{\langle a, s \rangle}` counts, for all :math:`2^{20}` candidates at once, how many more
samples agree than disagree. The secret stands out of the noise. :func:`nearlinear.linalg.hadamard_transform` computes
it; the reference, and the peer, is the textbook's transform in NumPy.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from nearlinear.demo import linalg

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in linalg.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/linalg.py

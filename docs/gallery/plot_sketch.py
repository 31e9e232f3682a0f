r"""
What sends people to the doctor
===============================

Least squares on the RAND health insurance experiment: 20190 people and years, and 184 columns made of how their
insurance shares costs and of their health. :func:`nearlinear.sketch.lstsq` solves it to the last digits that a backward
stable method can give. With ``method="sketch-solve"`` it looks at every row once, keeps a sketch with a seventh of the
rows, and gives for each coefficient an interval that holds the exact one with a probability of 95 %: the check counts
how many do, over twenty sketches. :func:`nearlinear.sketch.leave_one_out` tells by how much each row would be missed by
the solution without it, for all rows from one factorisation.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from nearlinear.demo import sketch

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in sketch.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/sketch.py

r"""
Regression from two per cent of the data
========================================

How often people see a doctor, given their insurance and their health: the RAND health insurance experiment, 20190
people and years, and the coefficients for which the sum of absolute residuals is least. Two per cent of the rows,
sampled by Lewis weights and with weights, have a solution that is nearly as good for all of them. So has a uniform
sample, as long as rows are alike. Where lengths of rows have a heavy tail, few rows decide, and a uniform sample does
not have them: the same number of rows then fails, and :func:`nearlinear.sampling.sample_rows` does not. Each rule has
twenty samples.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from nearlinear.demo import sampling

folder = TemporaryDirectory()
pictures = Path(folder.name)
for outcome in sampling.demo(pictures):
    print(f"{outcome.task}, {outcome.size}")
    print(f"nearlinear {outcome.seconds:.4f} s, {outcome.peer} {outcome.peer_seconds:.4f} s")
    print(f"error {outcome.error:.1e}, at most {outcome.tolerance:.1e} allowed: {outcome.passed}")

# %%
# The demo in full:
#
# .. literalinclude:: /../python/nearlinear/demo/sampling.py

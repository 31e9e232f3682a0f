"""
Which functions have similar documentation?
===========================================

The documents are the docstrings of NumPy's and SciPy's functions. Each is a row of A: how often it has every word,
damped by a logarithm, times how rare the word is, all scaled to norm 1. Then A A^T holds the cosines between all
documents. It is nearly dense, but all that is wanted are the largest entries of each row: ``top_k`` keeps them, and the
others never take memory. The reference is the dense product, sorted.
"""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure

import nearlinear as nl
from nearlinear.demo import timed

folder = TemporaryDirectory()
pictures = Path(folder.name)

# %%
# A function that has several names is taken once.
modules = ["numpy", "numpy.linalg", "numpy.fft", "scipy.fft", "scipy.linalg", "scipy.ndimage", "scipy.special"]
texts = {}
for module in map(import_module, modules):
    for name in sorted(module.__all__):
        text = getattr(module, name).__doc__
        if text is not None and callable(getattr(module, name)) and text not in texts.values():
            texts[f"{module.__name__}.{name}"] = text
names = list(texts)
counts = [Counter(re.findall("[a-z]{3,}", text.lower())) for text in texts.values()]

# %%
# Terms that are in one document only say nothing about similarity.
documents_with = Counter(word for count in counts for word in count)
words = [word for word, documents in documents_with.items() if documents > 1]
column = {word: j for j, word in enumerate(words)}
terms = [(i, column[word], n) for i, count in enumerate(counts) for word, n in count.items() if word in column]
rows, columns, times = np.array(terms).T
rarity = np.log(len(names) / np.array([documents_with[word] for word in words]))
weights = sp.csr_array(((1 + np.log(times)) * rarity[columns], (rows, columns)), shape=(len(names), len(words)))
A = sp.diags_array(1 / np.maximum(sp.linalg.norm(weights, axis=1), 1e-300)) @ weights
print(f"{A.shape[0]} documents, {A.shape[1]} words, {A.nnz} entries")

# %%
# The first of the six is the document itself.
similar, seconds = timed(lambda: nl.sparse.matmul(A, A.T, top_k=6))
print(f"{similar.nnz} entries of {nl.sparse.matmul_nnz(A, A.T)} in {seconds:.3f} s")

# %%
# No cosine that was left out is larger than one that was kept, and those that were kept are right.
cosines = A.toarray() @ A.toarray().T
largest = -np.sort(-cosines, axis=1)[:, :6]
kept = np.where(similar.toarray() != 0, similar.toarray(), -np.inf)
assert np.allclose(-np.sort(-kept, axis=1)[:, :6], largest, rtol=0, atol=1e-13)
assert np.allclose(similar.tocoo().data, cosines[similar.tocoo().coords], rtol=0, atol=1e-13)

# %%
figure = Figure(figsize=(9, 5.5), layout="constrained")
asked = ["numpy.argmax", "numpy.linalg.cholesky", "scipy.special.gammaln", "scipy.ndimage.gaussian_filter"]
for axes, name in zip(figure.subplots(2, 2, sharex=True).flat, asked, strict=True):
    row = similar[[names.index(name)]].tocoo()
    best = np.argsort(-row.data)[1:]
    axes.barh(range(5), row.data[best], color="C0", alpha=0.35)
    for place, j in enumerate(best):
        axes.text(0.02, place, f"{row.data[j]:.2f}  {names[row.col[j]]}", va="center")
    axes.set(title=name, xlim=(0, 1), ylim=(4.6, -0.6), yticks=[])
figure.supxlabel("cosine")
figure.savefig(pictures / "similar_texts.png", dpi=130)

"""Sphinx configuration: `python -m sphinx -W --keep-going -b html docs docs/_build/html`."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "nearlinear"
author = "the nearlinear authors"
copyright = "2026, the nearlinear authors"
version = release = installed_version("nearlinear")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",  # MathJax among the pages: they need no network
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery"]

html_theme = "furo"
html_title = f"nearlinear {release}"
html_show_sourcelink = False
pygments_style = "friendly"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

default_role = "autolink"  # `nearlinear.isa` in a docstring is a link, `x` is emphasised
autodoc_typehints = "none"  # numpydoc's sections state the types
autosummary_generate = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("demo_pictures",),
    "reset_modules": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 3600,
    "write_computation_times": False,
    "abort_on_example_error": True,
}


def strip_blank_ends(app: Sphinx, doctree: nodes.document) -> None:
    """Examples end with the blank line that doctest needs to tell their output from the fence: not for readers."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip("\n")
        if block.get("language") == "pycon":
            block.rawsource = text
            block[:] = [nodes.Text(text)]


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", strip_blank_ends)

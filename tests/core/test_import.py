"""Importing the package is cheap, and its rooms are there all the same."""

import subprocess
import sys

import pytest

import nearlinear as nl


def in_fresh_python(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_numpy_alone():
    script = (
        "import sys, numpy; before = set(sys.modules); import nearlinear;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    assert in_fresh_python(script) in ("['nearlinear']", "['nearlinear', 'numpy']")  # numpy.typing


def test_rooms_load_on_first_use_and_are_listed_before():
    script = (
        "import sys, nearlinear; print('sparse' in dir(nearlinear), 'nearlinear.sparse' in sys.modules);"
        "nearlinear.sparse.matmul; print('nearlinear.sparse' in sys.modules)"
    )
    assert in_fresh_python(script).split() == ["True", "False", "True"]


def test_every_public_name_exists():
    for name in nl.__all__:
        assert getattr(nl, name) is not None
    assert nl.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'no_such_room'"):
        nl.no_such_room  # noqa: B018

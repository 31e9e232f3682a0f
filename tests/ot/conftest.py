import pytest

from tests.ot.pot import Pot


@pytest.fixture(scope="session")
def pot():
    return Pot()

"""Options of the test suite, and the conditions that its tests rely on."""

import signal

import pytest


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="run the sweeps marked slow, too")


def pytest_configure():
    # What a shell starts in the background ignores Ctrl-C, and the tests that press it would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--run-slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="a sweep for the nightly script; needs --run-slow"))

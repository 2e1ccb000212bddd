"""Where promtool and prometheus are; without them a test says so: it fails where they are required, else it skips."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of promtool or prometheus, which Debian's package `prometheus` brings.

    Missing, it fails the test if GRAPHBED_REQUIRE_PROMETHEUS is 1, as it is in CI; elsewhere the test is skipped.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    message = f"{name} is not installed (Debian: apt-get install prometheus)"
    if os.environ.get("GRAPHBED_REQUIRE_PROMETHEUS") == "1":
        pytest.fail(message)
    pytest.skip(message)

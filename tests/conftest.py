"""Fixtures that every kind of test may use: real servers, started on free ports."""

import signal

pytest_plugins = ["tests.fixtures.redis", "tests.fixtures.s3"]

# Whoever is started in the background of a script ignores Ctrl-C, and so would all processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

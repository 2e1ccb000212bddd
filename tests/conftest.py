"""Fixtures that every kind of test may use: real servers, started on free ports."""

pytest_plugins = ["tests.fixtures.redis", "tests.fixtures.s3"]

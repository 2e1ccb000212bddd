"""One cluster at work for all tests of this folder that look at one."""

from collections.abc import Iterator

import pytest

from tests.ops.live_cluster import Cluster, Prometheus, watched_cluster


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Prometheus]]:
    """The cluster, and the Prometheus that scrapes it; nothing of it is to be stopped."""
    with watched_cluster(tmp_path_factory.mktemp("watched")) as both:
        yield both

"""Build information: which Graphbed a process runs, as a metric that others can be joined with."""

import os
import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info


def publish_build_info(registry: CollectorRegistry, *, service: str) -> None:
    """Say the version, the revision that an image was built from, and Python's version; `service` is a full name."""
    info = Info("graphbed_build", "Version of Graphbed and of Python, by service.", registry=registry)
    info.info(
        {
            "service": service,
            "version": version("graphbed"),
            "revision": os.environ.get("GRAPHBED_REVISION", "unknown"),
            "python": platform.python_version(),
        }
    )

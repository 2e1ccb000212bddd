"""Spoilt copies: the project's code with a bug in it, and whether the lock server's unit tests find that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIT_TESTS = (
    "tests/unit/lockserver/test_transitions.py",
    "tests/unit/lockserver/test_generations.py",
    "tests/unit/lockserver/test_collector.py",
    "tests/unit/lockserver",
)
"""The first are fast and find most."""


def copy_of_the_code(folder: Path) -> Path:
    """All Python files of the project below `folder`, to be spoilt there."""
    for name in ("graphbed", "services", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "datasets"))
    return folder


def run_unit_tests(copy: Path) -> str:
    """The first unit test that fails on a copy of the code; empty: none."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *UNIT_TESTS],
        cwd=copy,
        env=environment(copy),
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].split()[1] if failed else ("pytest ended with an error" if done.returncode else "")


def environment(copy: Path) -> dict[str, str]:
    """Of a process that imports the copy."""
    return {**os.environ, "PYTHONPATH": str(copy)}


def commit() -> str:
    """Of the work tree."""
    return subprocess.check_output(["git", "rev-parse", "HEAD"], text=True, cwd=ROOT).strip()

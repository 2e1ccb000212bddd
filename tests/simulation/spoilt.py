"""Spoilt copies: the project's code with a bug in it, and whether the lock server's unit tests find that."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "unit" / "lockserver"
FIRST = ("test_transitions.py", "test_generations.py", "test_collector.py")
"""These are fast and find most."""


def copy_of_the_code(folder: Path) -> Path:
    """All Python files of the project below `folder`, to be spoilt there."""
    for name in ("graphbed", "services", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "datasets"))
    return folder


def run_unit_tests(copy: Path) -> str:
    """The first unit test that fails on a copy of the code; empty: none."""
    others = sorted({path.name for path in FOLDER.glob("test_*.py")} - {*FIRST})
    # One after another: pytest imports all its files before it runs the first.
    runs = (_failed(copy, names) for names in (*((name,) for name in FIRST), others))
    return next(filter(None, runs), "")


def _failed(copy: Path, names: Sequence[str]) -> str:
    """The first test of some files that fails; empty: none."""
    files = [str(FOLDER.relative_to(ROOT) / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *files],
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

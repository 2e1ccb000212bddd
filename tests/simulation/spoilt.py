"""Spoilt copies: the project's code with a bug in it, and whether the lock server's unit tests find that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "unit" / "lockserver"
FIRST = tuple(FOLDER / f"test_{name}.py" for name in ("transitions", "generations", "collector"))
"""These are fast and find most."""


def copy_of_the_code(folder: Path) -> Path:
    """All Python files of the project below `folder`, to be spoilt there."""
    for name in ("graphbed", "services", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "datasets"))
    return folder


def run_unit_tests(copy: Path) -> str:
    """The first unit test that fails on a copy of the code; empty: none."""
    # Files, not their folder: pytest would put its files in their own order.
    others = sorted({*FOLDER.glob("test_*.py")} - {*FIRST})
    files = [str(path.relative_to(ROOT)) for path in (*FIRST, *others)]
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

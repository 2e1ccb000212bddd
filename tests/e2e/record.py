"""The record of the last full run, and whether it is of the files that are here: `python -m tests.e2e.record`.

A run is of certain files, not of a date: the record holds one checksum over everything that containers are made of.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path("tests/e2e/record")
PATHS = ("services", "deploy", "Dockerfile", "docker-compose.yml", "docker-compose.offline.yml")


def digest(root: Path = ROOT) -> str:
    """SHA-256 over the names and contents of all files below PATHS that git tracks or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PATHS],
        cwd=root, check=True, stdout=subprocess.PIPE,
    ).stdout.decode()  # fmt: skip
    total = hashlib.sha256()
    for name in sorted(set(listed.split("\0")) - {""}):
        path = root / name
        if path.is_file():
            total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def complaint(root: Path = ROOT) -> str | None:
    """What is wrong with the record, in one line; None if it is of the files that are here."""
    try:
        recorded = json.loads((root / FOLDER / "result.json").read_text())["digest"]
    except (OSError, ValueError, KeyError):
        return f"{FOLDER}/result.json is no record of an end-to-end run: run `make e2e` and commit the folder"
    if recorded != digest(root):
        return f"{' '.join(PATHS)} changed after the run that {FOLDER} tells of: run `make e2e` and commit the folder"
    return None


def write(figures: dict[str, Any], log: str, root: Path = ROOT) -> None:
    """Put a run's figures, its `digest` among them, and its log in the place of the last one's."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "log.txt").write_text(log)


if __name__ == "__main__":
    wrong = complaint()
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    sys.exit(1 if wrong else 0)

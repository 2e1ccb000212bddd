"""Time comes from the clock that a part is given: a wall clock that jumps decides nothing."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
READERS = {"time", "time_ns", "now", "utcnow", "today"}
ALLOWED = {
    # The clock itself.
    "graphbed/clock.py",
    # Age of the files that crashed writers left.
    "graphbed/storage/directory.py",
    # Age of the uploads that they left.
    "graphbed/storage/s3.py",
}


def test_nothing_but_the_clock_reads_the_time() -> None:
    found = set()
    for path in sorted([*(ROOT / "graphbed").rglob("*.py"), *(ROOT / "services").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="time" | "datetime" | "date"), attr=name)):
                    if name in READERS:
                        found.add(path.relative_to(ROOT).as_posix())
    assert found == ALLOWED

"""The kernel cache: found again by another process, missed after an edit."""

import subprocess
import sys
from pathlib import Path

import pytest

from graphbed.errors import InputError
from graphbed.model.cpu.source import body, cache_directory, chosen_files, module_name, write_module
from tests.unit.model.test_compiled import COMPILED, QUICKSTART

# A module of the real form whose entry compiles in a second.
SLICE = '''"""A slice."""

def train_chunks(x: int) -> int:
    return double(x) + 1
'''
CHUNK = '''"""A chunk."""

def double(x: int) -> int:
    return 2 * x
'''
RUN = """
import sys
from pathlib import Path
from graphbed.model.cpu.source import load_module
from graphbed.config.job import JobConfig
from graphbed.model.kernel import KernelSpec
relation = dict(name="r", lhs="n", rhs="n", operator="complex_diagonal", reciprocal=True)
job = dict(job="j", graph="g", entities={"n": {}}, dimension=2, comparator="dot", loss_fn="softmax")
spec = KernelSpec.from_config(JobConfig(relations=[relation], **job), 0)
entry = load_module(spec, Path(sys.argv[1]), Path(sys.argv[2])).entry
print(entry(5), sum(entry.stats.cache_hits.values()), sum(entry.stats.cache_misses.values()))
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    for name in chosen_files(QUICKSTART):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('"""Nothing."""\n')
    (folder / "slice.py").write_text(SLICE)
    (folder / "chunk.py").write_text(CHUNK)
    return folder


def start(cache: Path, sources: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(cache), str(sources)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def result(process: subprocess.Popen[str]) -> list[int]:
    """What the entry returned, cache hits, cache misses."""
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [int(number) for number in out.split()]


def test_a_second_process_finds_the_machine_code_and_an_edit_is_seen(tmp_path: Path, sources: Path):
    cache = tmp_path / "cache"
    assert result(start(cache, sources)) == [11, 0, 1]
    assert result(start(cache, sources)) == [11, 1, 0]
    # The edit is in a function that the entry calls: Numba's own cache would not notice it.
    (sources / "chunk.py").write_text(CHUNK.replace("2 * x", "3 * x"))
    assert result(start(cache, sources)) == [16, 0, 1]


def test_two_processes_may_make_a_kernel_at_once(tmp_path: Path, sources: Path):
    cache = tmp_path / "cache"
    both = [start(cache, sources) for _ in range(2)]
    assert [result(process)[0] for process in both] == [11, 11]
    assert len(list(cache.glob("*.py"))) == 1
    assert not list(cache.glob("*.new"))
    assert result(start(cache, sources)) == [11, 1, 0]


def test_combinations_have_names_and_sources_of_their_own():
    assert len({module_name(spec) for spec in COMPILED}) == len(COMPILED)
    assert len({body(spec) for spec in COMPILED}) == len(COMPILED)


def test_a_cache_that_cannot_be_written_says_which_variable_to_set(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="GRAPHBED_KERNEL_CACHE"):
        write_module(QUICKSTART, tmp_path / "file" / "cache")


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("GRAPHBED_KERNEL_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("GRAPHBED_KERNEL_CACHE")
    assert cache_directory() == Path.home() / ".cache" / "graphbed" / "kernels"

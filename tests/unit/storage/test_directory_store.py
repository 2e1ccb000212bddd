"""What the directory store does when the disk is full, locked, or used by many processes."""

import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphbed.errors import InputError, ObjectCorrupt, ObjectExists, StoreDenied, StoreFull, StoreUnavailable
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.objects import get_verified


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_is_left_half_written(full_disk: Path) -> None:
    store = DirectoryStore(full_disk)
    store.put("small", b"fits")
    for write in (
        lambda: store.put("large", bytes(2 << 20)),
        lambda: store.create("large", bytes(2 << 20)),
        lambda: store.put_stream("large", [bytes(1 << 19)] * 4, size=2 << 20, sha256="0" * 64),
    ):
        with pytest.raises(StoreFull) as full:
            write()
        assert full.value.facts["store"] == str(full_disk)
        assert files_below(full_disk) == ["small"]
    store.put("other", bytes(1 << 19))  # there is room again


def limited_writer(folder: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        DirectoryStore(folder).put("large", bytes(2 << 20))
    except StoreFull:
        os._exit(7)


def test_a_file_size_limit_is_a_full_store_and_leaves_nothing(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=limited_writer, args=(str(tmp_path),))
    process.start()
    process.join(60)
    assert process.exitcode == 7
    assert files_below(tmp_path) == []


def create_in_process(folder: str, number: int, begin: object) -> None:
    begin.wait()  # type: ignore[attr-defined]
    try:
        DirectoryStore(folder).create("race/one", b"%d" % number * 5000)
    except ObjectExists:
        os._exit(3)


def test_of_many_creating_processes_exactly_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    begin = context.Event()
    processes = [context.Process(target=create_in_process, args=(str(tmp_path), n, begin)) for n in range(8)]
    for process in processes:
        process.start()
    begin.set()
    for process in processes:
        process.join(60)
    codes = [process.exitcode for process in processes]
    assert sorted(codes) == [0] + [3] * 7, codes
    winner = codes.index(0)
    assert DirectoryStore(tmp_path).get("race/one") == b"%d" % winner * 5000


def test_a_killed_writer_leaves_no_object_and_its_leftover_goes_later(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from graphbed.storage.directory import DirectoryStore\n"
        "def chunks():\n"
        "    yield b'x' * 1000\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "DirectoryStore(sys.argv[1]).put_stream('a/b', chunks(), size=2000, sha256='0' * 64)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        writer.kill()
    store = DirectoryStore(tmp_path)
    assert store.list("") == []
    (leftover,) = [tmp_path / name for name in files_below(tmp_path)]
    os.utime(leftover, (time.time() - 7200, time.time() - 7200))
    DirectoryStore(tmp_path)
    assert files_below(tmp_path) == []


def test_what_is_being_written_now_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)

    def chunks() -> Iterator[bytes]:
        yield b"first"
        DirectoryStore(tmp_path)  # another process opens the store meanwhile
        yield b"second"

    import hashlib

    store.put_stream("a", chunks(), size=11, sha256=hashlib.sha256(b"firstsecond").hexdigest())
    assert store.get("a") == b"firstsecond"


def test_a_bit_that_flipped_on_disk_is_refused_with_the_objects_name(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    stored = store.put("jobs/j/partitions/e/0/l.safetensors", bytes(range(256)) * 100)
    path = tmp_path / stored.key
    damaged = bytearray(path.read_bytes())
    damaged[5000] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(ObjectCorrupt) as corrupt:
        get_verified(store, stored.key, size=stored.size, sha256=stored.sha256)
    assert corrupt.value.facts["key"] == stored.key
    path.write_bytes(damaged[:-1])
    with pytest.raises(ObjectCorrupt):
        get_verified(store, stored.key, size=stored.size, sha256=stored.sha256)


def test_a_store_that_is_only_read_makes_no_folder(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "nowhere")
    assert store.list("") == []
    assert not store.exists("a")
    store.delete("a")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is not a directory"):
        DirectoryStore(tmp_path / "file")


def test_a_key_below_an_object_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put("a", b"x")
    with pytest.raises(StoreUnavailable, match="a"):
        store.put("a/b", b"y")
    store.put("c/d", b"y")
    with pytest.raises(StoreUnavailable):
        store.put("c", b"z")
    assert files_below(tmp_path) == ["a", "c/d"]


def test_a_folder_without_rights_is_a_denied_store(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may do anything but change what is marked immutable.
        marked = subprocess.run(["chattr", "+i", str(tmp_path)], check=False, capture_output=True)
        if marked.returncode:
            pytest.skip("root is refused nothing on this file system")
    else:
        tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreDenied, match=str(tmp_path)):
            DirectoryStore(tmp_path).put("a", b"x")
    finally:
        subprocess.run(["chattr", "-i", str(tmp_path)], check=False, capture_output=True)
        tmp_path.chmod(0o700)

"""What every state store must do: in memory, in files, and in a real Redis."""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from graphbed.errors import InputError, JobUnknown, StateCorrupt, StoreDenied, StoreUnavailable
from services.lockserver.file_store import FileStateStore
from services.lockserver.state_address import open_state
from services.lockserver.state_store import MemoryStateStore, StateStore
from tests.fixtures.redis import RedisProcess


@pytest.fixture(params=["memory", "file", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    if request.param == "memory":
        return MemoryStateStore()
    if request.param == "file":
        return open_state(f"file://{tmp_path}/state", {})
    return open_state(request.getfixturevalue("redis_url"), {})


@pytest.fixture
def job() -> str:
    """A name that no other test uses: the Redis is shared."""
    return f"job-{uuid.uuid4().hex}"


def test_what_was_created_is_read_back(store: StateStore, job: str) -> None:
    assert store.create(job, "t1", {"a": "1", "b:x/0": '{"k": "ü\\n"}'})
    assert store.read(job) == ("t1", {"a": "1", "b:x/0": '{"k": "ü\\n"}'})
    assert store.tag(job) == "t1"
    assert job in store.jobs()


def test_an_unknown_job_is_told(store: StateStore, job: str) -> None:
    with pytest.raises(JobUnknown):
        store.read(job)
    with pytest.raises(JobUnknown):
        store.tag(job)
    assert not store.apply(job, "t1", "t2", {"a": "1"}, set())
    assert not store.apply(job, "", "t2", {"a": "1"}, set())
    with pytest.raises(JobUnknown):
        store.read(job)


def test_a_job_is_created_once(store: StateStore, job: str) -> None:
    assert store.create(job, "t1", {"a": "1"})
    assert not store.create(job, "t2", {"a": "2"})
    assert store.read(job) == ("t1", {"a": "1"})


def test_a_change_writes_and_removes_and_leaves_the_rest(store: StateStore, job: str) -> None:
    store.create(job, "t1", {"keep": "1", "change": "1", "drop": "1"})
    assert store.apply(job, "t1", "t2", {"change": "2", "new": "2"}, {"drop", "never was"})
    assert store.read(job) == ("t2", {"keep": "1", "change": "2", "new": "2"})


def test_a_change_on_an_old_tag_changes_nothing(store: StateStore, job: str) -> None:
    store.create(job, "t1", {"a": "1"})
    store.apply(job, "t1", "t2", {"a": "2"}, set())
    assert not store.apply(job, "t1", "t3", {"a": "3"}, {"a"})
    assert store.read(job) == ("t2", {"a": "2"})


def test_a_change_that_is_sent_again_happens_once(store: StateStore, job: str) -> None:
    store.create(job, "t1", {"a": "1"})
    assert store.create(job, "t1", {"a": "1"})
    assert store.apply(job, "t1", "t2", {"a": "2"}, set())
    assert store.apply(job, "t1", "t2", {"a": "2"}, set())
    assert store.read(job) == ("t2", {"a": "2"})


def test_a_job_that_is_removed_is_unknown_and_may_be_created_again(store: StateStore, job: str) -> None:
    store.create(job, "t1", {"a": "1"})
    store.apply(job, "t1", "t2", {"a": "2"}, set())
    assert not store.remove(job, "t1"), "it was changed since"
    assert store.read(job) == ("t2", {"a": "2"}) and job in store.jobs()
    assert store.remove(job, "t2")
    assert store.remove(job, "t2"), "the answer may have been lost"
    assert job not in store.jobs() and store.changes(job, "t1") is None
    with pytest.raises(JobUnknown):
        store.tag(job)
    assert store.create(job, "t3", {"b": "3"})
    assert store.read(job) == ("t3", {"b": "3"}) and job in store.jobs()


def test_thousands_of_fields_change_at_once(store: StateStore, job: str) -> None:
    fields = {f"done:{index}/0": str(index) for index in range(20_000)}
    store.create(job, "t1", {})
    assert store.apply(job, "t1", "t2", fields, set())
    assert store.apply(job, "t2", "t3", {"a": "1"}, set(fields))
    assert store.read(job) == ("t3", {"a": "1"})


def test_of_many_who_change_at_once_exactly_one_wins(store: StateStore, job: str) -> None:
    store.create(job, "t0", {"winner": ""})
    for turn in range(5):
        wins = _at_once(
            8, lambda index, turn=turn: store.apply(job, f"t{turn}", f"t{turn}-{index}", {"winner": str(index)}, set())
        )
        assert sum(wins) == 1
        assert store.read(job) == (f"t{turn}-{wins.index(True)}", {"winner": str(wins.index(True))})
        store.apply(job, f"t{turn}-{wins.index(True)}", f"t{turn + 1}", {}, set())


def test_of_many_who_create_at_once_exactly_one_wins(store: StateStore, job: str) -> None:
    wins = _at_once(8, lambda index: store.create(job, f"t{index}", {"winner": str(index)}))
    assert sum(wins) == 1
    assert store.read(job)[1] == {"winner": str(wins.index(True))}


def _at_once(count: int, act: Callable[[int], bool]) -> list[bool]:
    barrier = threading.Barrier(count)
    answers = [False] * count

    def run(index: int) -> None:
        barrier.wait()
        answers[index] = act(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_file_store_reads_what_another_one_wrote(tmp_path: Path) -> None:
    FileStateStore(tmp_path).create("j", "t1", {"a": "1"})
    again = FileStateStore(tmp_path)
    assert again.jobs() == ["j"]
    assert again.read("j") == ("t1", {"a": "1"})


def test_a_file_that_is_no_state_is_named_and_left_alone(tmp_path: Path) -> None:
    store = FileStateStore(tmp_path)
    (tmp_path / "j.json").write_text('{"tag": "t1", "fie')
    with pytest.raises(StateCorrupt, match=r"j\.json"):
        store.read("j")
    assert (tmp_path / "j.json").read_text() == '{"tag": "t1", "fie'


def test_a_file_cannot_be_a_directory_of_states(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file"):
        FileStateStore(tmp_path / "file")


def test_a_dead_redis_is_told_with_its_address_and_comes_back(tmp_path: Path) -> None:
    process = RedisProcess(tmp_path, durable=True)
    process.start()
    try:
        store = open_state(process.url, {})
        store.create("j", "t1", {"a": "1"})
        process.kill()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{process.port}"):
            store.apply("j", "t1", "t2", {"a": "2"}, set())
        process.start()
        assert store.apply("j", "t1", "t2", {"a": "2"}, set())
        assert store.read("j") == ("t2", {"a": "2"})
    finally:
        process.kill()


def test_each_change_in_redis_is_announced_in_a_stream(redis_process: RedisProcess, job: str) -> None:
    store = open_state(redis_process.url, {})
    store.create(job, "t1", {"a": "1"})
    store.apply(job, "t1", "t2", {"a": "2"}, set())
    store.apply(job, "t1", "t3", {"a": "3"}, set())
    entries = redis_process.client().xrange(f"graphbed:{{{job}}}:changes")
    assert [(fields["from"], fields["to"]) for _, fields in entries] == [("", "t1"), ("t1", "t2")]


def test_a_wrong_password_is_refused_without_showing_it(tmp_path: Path) -> None:
    process = RedisProcess(tmp_path, password="right-password")
    process.start()
    try:
        open_state(process.url, {"GRAPHBED_REDIS_PASSWORD": "right-password"}).create("j", "t1", {})
        for environ in ({"GRAPHBED_REDIS_PASSWORD": "wrong-password"}, {}):
            with pytest.raises(StoreDenied) as caught:
                open_state(process.url, environ)
            assert str(process.port) in str(caught.value)
            assert "wrong-password" not in str(caught.value)
    finally:
        process.stop()


@pytest.mark.parametrize("url", ["http://x/", "redis://", "redis://h:port/0", "redis://u:hunter2@h/0", "file://host/x"])
def test_an_address_that_makes_no_sense_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        open_state(url, {})
    assert "hunter2" not in str(caught.value)


def test_what_was_missed_leads_from_the_state_that_was_known_to_the_one_that_is(store: StateStore, job: str) -> None:
    store.create(job, "t0", {"keep": "0", "drop": "0", "back": "0"})
    store.apply(job, "t0", "t1", {"a": "1"}, {"drop"})
    for number in range(1, 30):
        store.apply(job, f"t{number}", f"t{number + 1}", {"a": str(number), f"b{number}": "x"}, {f"b{number - 1}"})
    store.apply(job, "t30", "t31", {"drop": "1"}, {"back"})
    _, now = store.read(job)
    for known in (0, 1, 17, 30):
        missed = store.changes(job, f"t{known}")
        if missed is None:
            assert isinstance(store, FileStateStore)
            continue
        assert (missed.before, missed.after) == (f"t{known}", "t31")
        if known == 0:
            then = {"keep": "0", "drop": "0", "back": "0", **missed.written}
            assert {name: value for name, value in then.items() if name not in missed.removed} == now
    assert store.changes(job, "t31") is None and store.changes(job, "unknown") is None


def test_what_a_store_does_not_remember_it_does_not_invent(store: StateStore, job: str) -> None:
    assert store.changes(job, "t0") is None
    store.create(job, "t0", {"a": "0"})
    large = {f"done:{index}/0": "1" * 100 for index in range(2000)}
    store.apply(job, "t0", "t1", large, set())
    store.apply(job, "t1", "t2", {"a": "2"}, set())
    missed = store.changes(job, "t0")
    if missed is not None:
        assert isinstance(store, MemoryStateStore) and missed.written == {**large, "a": "2"}
    for number in range(2, 700):
        store.apply(job, f"t{number}", f"t{number + 1}", {"a": str(number)}, set())
    assert store.changes(job, "t1") is None

"""Tasks: what they give, what they raise, and what they let go of."""

import gc
import threading
import weakref

import pytest

from graphbed.errors import InputError
from services.trainer.task import Task


def test_a_task_works_beside_others_and_gives_what_it_found() -> None:
    go_on = threading.Event()
    task = Task("t", lambda: go_on.wait(10) and threading.current_thread().daemon)
    go_on.set()
    assert task.result() is True


def test_what_a_task_raised_is_raised_again() -> None:
    def work() -> None:
        raise InputError(what="no")

    with pytest.raises(InputError):
        Task("t", work).result()


def test_a_task_that_is_done_keeps_nothing_of_what_it_worked_on() -> None:
    class Tables:
        pass

    tables = Tables()
    gone = weakref.ref(tables)
    task = Task("t", lambda held=tables: held is not None)
    del tables
    assert task.result()
    gc.collect()
    assert gone() is None

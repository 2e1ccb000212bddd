"""Tasks: work beside other work."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from graphbed.logs import carrying

T = TypeVar("T")


class Task(Generic[T]):
    """Some work on a thread of its own, which does not keep the process; lines that it logs carry what is bound here.

    What the work refers to is let go when it is done.
    """

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._found: T | None = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._found = work()
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=carrying(run), name=name, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What the work came to, once it is done. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return cast(T, self._found)

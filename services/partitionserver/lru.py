"""Which versions stay in a cache: the ones used last, as many bytes as allowed."""

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LeastRecentlyUsed(Generic[Value]):
    """Values by name with sizes that add up to at most `max_bytes`. Not safe for threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Sum of the sizes."""
        return self._bytes

    def accepts(self, size: int) -> bool:
        """Whether a value of `size` bytes could be kept at all."""
        return size <= self._max_bytes

    def get(self, name: str) -> Value | None:
        """The value, which is now the one used last; None if it is not there."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        self._entries.move_to_end(name)
        return entry[0]

    def make_room(self, size: int) -> dict[str, Value]:
        """Remove and return those that were used longest ago until `size` bytes more are within bounds."""
        gone: dict[str, Value] = {}
        while self._entries and self._bytes + size > self._max_bytes:
            name, (value, freed) = self._entries.popitem(last=False)
            self._bytes -= freed
            gone[name] = value
        return gone

    def put(self, name: str, value: Value, size: int) -> dict[str, Value]:
        """Keep the value, in place of an older one of that name; return what had to go, itself if it is too large."""
        self.discard(name)
        if not self.accepts(size):
            return {name: value}
        gone = self.make_room(size)
        self._entries[name] = (value, size)
        self._bytes += size
        return gone

    def discard(self, name: str) -> None:
        """Forget the value if it is there."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= entry[1]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

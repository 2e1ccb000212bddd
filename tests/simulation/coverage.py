"""Coverage: which faults must have met which requests before a set of histories says anything."""

from collections import Counter

CHANGES = (
    *("acquire", "succeed", "renew", "commit", "release", "expire", "manifest"),
    *("pause", "resume", "revoke", "restore"),
)
"""Requests of trainers and people, and housekeeping, that change a job's state."""

STATE_FAULTS = (
    "apply: fails before",
    "apply: fails after",
    "apply: crash before",
    "apply: crash after",
    "overtaken",
)
MANIFEST_FAULTS = ("create: fails before", "create: fails after", "create: crash before", "create: crash after")
COLLECTION_FAULTS = (
    *MANIFEST_FAULTS,
    "delete: fails before",
    "delete: fails after",
    "delete: crash before",
    "delete: crash after",
    "overtaken",
)
START_FAULTS = ("read: fails before", "read: crash before")

REQUIRED = frozenset(
    [
        *((change, fault) for change in CHANGES for fault in STATE_FAULTS),
        *((writer, fault) for writer in ("manifest", "restore") for fault in MANIFEST_FAULTS),
        *(("collect", fault) for fault in COLLECTION_FAULTS),
        *(("pin", fault) for fault in ("create: fails before", "create: fails after", "overtaken", "refused", "done")),
        *(("start", fault) for fault in START_FAULTS),
        *((f"foreign {what}", "LeaseLost") for what in ("renew", "release", "commit")),
        ("restore", "done"),
        ("commit", "LeaseLost"),
        ("commit", "ParentUncommitted"),
        ("renew", "LeaseLost"),
        *((what, "done") for what in ("pause", "resume", "revoke", "unquarantine")),
    ]
)
"""Every transition, fault and crash point that exists together."""

RESTARTS = ("state_restart", "state_put_back", "restore")
MESSAGE_FAULTS = ("lost", "repeated", "late", "trainer_crash", "trainer_pause", "state_loss", *RESTARTS)


def empty_cells(cells: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """The required cells that no history has filled."""
    return sorted(cell for cell in REQUIRED if not cells[cell])


def table(cells: Counter[tuple[str, str]]) -> str:
    """The counts: a line for each fault, a column for each request."""
    requests = sorted({request for request, _ in cells})
    lines = [" " * 24 + "".join(f"{request:>16}" for request in requests)]
    for fault in sorted({fault for _, fault in cells}):
        lines.append(f"{fault:24}" + "".join(f"{cells[request, fault] or '-':>16}" for request in requests))
    return "\n".join(lines)

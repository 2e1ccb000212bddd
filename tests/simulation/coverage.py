"""Coverage: which faults must have met which requests before a set of histories says anything."""

from collections import Counter

CHANGES = (
    *("acquire", "succeed", "renew", "commit", "release", "expire", "manifest"),
    *("pause", "resume", "revoke", "restore", "drain", "cancel", "delete"),
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
DELETION_FAULTS = ("delete: fails before", "delete: fails after", "delete: crash before", "delete: crash after")
COLLECTION_FAULTS = (*MANIFEST_FAULTS, *DELETION_FAULTS, "overtaken")
REMOVAL_FAULTS = ("remove: fails before", "remove: fails after", "remove: crash before", "remove: crash after")
START_FAULTS = ("read: fails before", "read: crash before")
SETTLE_FAULTS = ("settle: fails before", "settle: fails after", "settle: crash before", "settle: crash after")
PUT_FAULTS = ("put: fails before", "put: fails after", "put: crash before", "put: crash after")

STALLED = (
    *(("acquire", "STORE_AWAY"), ("succeed", "STORE_AWAY")),
    *((what, "done while the store is away") for what in ("renew", "expire")),
    *((what, "store away") for what in ("manifest", "collect", "restore", "start", "delete", "settle")),
)
"""What must have met an object store that is away, or hangs."""

REQUIRED = frozenset(
    [
        *((change, fault) for change in CHANGES for fault in STATE_FAULTS),
        *((writer, fault) for writer in ("manifest", "restore", "cancel", "delete") for fault in MANIFEST_FAULTS),
        *(("collect", fault) for fault in COLLECTION_FAULTS),
        *(("pin", fault) for fault in ("create: fails before", "create: fails after", "overtaken", "refused", "done")),
        *(("start", fault) for fault in START_FAULTS),
        *(("submit", fault) for fault in MANIFEST_FAULTS),
        *(("delete", fault) for fault in (*DELETION_FAULTS, *REMOVAL_FAULTS, "JobNeeded")),
        *(("settle", fault) for fault in (*SETTLE_FAULTS, "overtaken")),
        *(("seal", fault) for fault in PUT_FAULTS),
        *(("sum up", fault) for fault in START_FAULTS),
        *STALLED,
        *((f"foreign {what}", "LeaseLost") for what in ("renew", "release", "commit")),
        ("restore", "done"),
        ("restore", "passed over"),
        ("acquire", "DRAINING"),
        ("commit", "LeaseLost"),
        ("commit", "ParentUncommitted"),
        ("renew", "LeaseLost"),
        *((what, "done") for what in ("pause", "resume", "revoke", "unquarantine", "drain", "cancel", "delete")),
    ]
)
"""Every transition, fault and crash point that exists together."""

RESTARTS = ("state_restart", "state_put_back", "restore")
MESSAGE_FAULTS = ("lost", "repeated", "late", "trainer_crash", "trainer_pause", "state_loss", *RESTARTS)
STORE_FAULTS = ("store_stall", "cut", "gone", "parameters_crash")


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

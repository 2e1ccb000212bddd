"""What a trainer process is told by its environment."""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from graphbed.config.choices import Device
from graphbed.errors import InputError
from graphbed.rpc.environment import optional, read, read_int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSettings:
    """Addresses and limits of one trainer; everything else comes with the job."""

    trainer_id: str
    """Unique among the trainers of the cluster; a new one for each start."""
    lockserver: str
    """host:port of the lock server."""
    partitionservers: tuple[str, ...]
    """host:port of each partition server."""
    paramserver: str
    """host:port of the parameter server."""
    listen: str = "127.0.0.1:0"
    """Where health is served."""
    metrics_listen: str | None = None
    """Where /metrics is served; None = nowhere."""
    threads: int = 0
    """Hogwild threads; 0 = what the job says."""
    device: Device | None = None
    """Where to train; None = what the job says."""
    give_up_after: int = 0
    """End after so many failed leases in a row; 0 = never: in a cluster, other jobs may be sound."""
    parent_pid: int | None = None
    """The trainer ends when this process is its parent no more; None = it does not look."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read GRAPHBED_*; raises InputError that names the variable."""
        default_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        return cls(
            trainer_id=read(environ, "GRAPHBED_TRAINER_ID", default_id),
            lockserver=read(environ, "GRAPHBED_LOCKSERVER", "127.0.0.1:7101"),
            partitionservers=tuple(
                address.strip()
                for address in read(environ, "GRAPHBED_PARTITIONSERVERS", "127.0.0.1:7102").split(",")
                if address.strip()
            ),
            paramserver=read(environ, "GRAPHBED_PARAMSERVER", "127.0.0.1:7103"),
            listen=read(environ, "GRAPHBED_LISTEN", "127.0.0.1:0"),
            metrics_listen=optional(environ, "GRAPHBED_METRICS_LISTEN"),
            threads=read_int(environ, "GRAPHBED_TRAINER_THREADS", 0, minimum=0),
            device=_device(optional(environ, "GRAPHBED_TRAINER_DEVICE")),
            give_up_after=read_int(environ, "GRAPHBED_GIVE_UP_AFTER", 0, minimum=0),
            parent_pid=read_int(environ, "GRAPHBED_PARENT_PID", 0, minimum=0) or None,
        )


def _device(name: str | None) -> Device | None:
    try:
        return Device(name) if name else None
    except ValueError:
        raise InputError(what=f"GRAPHBED_TRAINER_DEVICE must be one of {', '.join(Device)}, not {name!r}") from None

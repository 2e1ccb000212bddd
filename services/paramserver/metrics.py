"""What the parameter server counts."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from graphbed.clients.tensors import Tensor
from graphbed.counters import at_zero


class ParamServerMetrics:
    """The metrics of one parameter server; labels are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "graphbed_paramserver"
        self._pushes = at_zero(
            Counter(
                f"{prefix}_pushes_total", "Pushes taken, by whether they were new.", ["outcome"], registry=registry
            ),
            "new",
            "repeated",
        )
        self._pulls = Counter(f"{prefix}_pulls_total", "Pulls answered.", registry=registry)
        self.seals = Counter(f"{prefix}_seals_total", "Deltas made durable.", registry=registry)
        self._settles = at_zero(
            Counter(f"{prefix}_settles_total", "Settles, by whether they took effect.", ["outcome"], registry=registry),
            "effective",
            "ignored",
        )
        self._committed = Counter(
            f"{prefix}_committed_deltas_total", "Deltas that became permanent.", registry=registry
        )
        self._void = Counter(f"{prefix}_void_deltas_total", "Deltas that were subtracted.", registry=registry)
        self._bytes = at_zero(
            Counter(
                f"{prefix}_bytes_total", "Tensor bytes pushed (in) and pulled (out).", ["direction"], registry=registry
            ),
            "in",
            "out",
        )
        self.live_leases = Gauge(
            f"{prefix}_live_leases", "Leases whose deltas are served and not yet permanent.", registry=registry
        )

    def pushed(self, *, new: bool, tensors: Mapping[str, Tensor]) -> None:
        """Count one push; one that was known before is `repeated`."""
        self._pushes.labels("new" if new else "repeated").inc()
        self._bytes.labels("in").inc(_size(tensors))

    def pulled(self, tensors: Mapping[str, Tensor]) -> None:
        """Count one pull."""
        self._pulls.inc()
        self._bytes.labels("out").inc(_size(tensors))

    def settled(self, *, effective: bool, committed: int, void: int) -> None:
        """Count one settle and what it ended; one that came too late or too early is `ignored`."""
        self._settles.labels("effective" if effective else "ignored").inc()
        self._committed.inc(committed)
        self._void.inc(void)


def _size(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())

"""Trainers: what they do, how fast, and who is slower than the others."""

from tools.dashboards.panels import Dashboard, Panel
from tools.dashboards.queries import EDGES, of_service, quantile, rate

TRAINERS = Dashboard(
    uid="graphbed-trainers",
    title="Graphbed: trainers",
    panels=(
        Panel(title="Edges per second", queries={"{{instance}}": rate(EDGES, "instance")}, unit="cps", stacked=True),
        Panel(
            title="What trainers do",
            queries={"{{phase}}": rate("graphbed_trainer_phase_seconds_total", "phase")},
            description="Seconds per second of all trainers; one may fetch, train and store at once.",
            stacked=True,
        ),
        Panel(
            title="Share of time spent training",
            queries={"{{instance}}": rate("graphbed_trainer_phase_seconds_total", "instance", where='{phase="train"}')},
            description="What passes beside it, fetching and storing, takes nothing away.",
            unit="percentunit",
            largest=1,
        ),
        Panel(
            title="Leases ended, by outcome",
            queries={"{{outcome}}": rate("graphbed_trainer_leases_total", "outcome")},
            unit="cps",
        ),
        Panel(
            title="Time from grant to commit",
            queries={
                "half": quantile(0.5, "graphbed_trainer_lease_seconds"),
                "nine tenths": quantile(0.9, "graphbed_trainer_lease_seconds"),
            },
            unit="s",
        ),
        Panel(
            title="Stragglers: nine tenths of the leases, by trainer",
            queries={"{{instance}}": "instance:graphbed_trainer_lease_seconds:p90_1h"},
            description="A trainer at three times the others' median makes GraphbedStraggler fire.",
            unit="s",
        ),
        Panel(title="Loss of the last lease", queries={"{{instance}}": "graphbed_trainer_loss"}),
        Panel(
            title="Partition bytes",
            queries={"{{direction}}": rate("graphbed_trainer_bytes_total", "direction")},
            unit="Bps",
        ),
        Panel(
            title="Renewals",
            queries={"{{outcome}}": rate("graphbed_trainer_renewals_total", "outcome")},
            unit="cps",
        ),
        Panel(
            title="Memory",
            queries={"{{instance}}": of_service("process_resident_memory_bytes", "Trainer")},
            unit="bytes",
            width=12,
        ),
        Panel(
            title="Cores in use",
            queries={"{{instance}}": of_service("rate(process_cpu_seconds_total[$__rate_interval])", "Trainer")},
            width=12,
        ),
    ),
)

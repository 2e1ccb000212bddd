"""Overview: how far the jobs are, and whether anybody should worry."""

from tools.dashboards.panels import Dashboard, Panel, stat
from tools.dashboards.queries import EDGES, of_job, rate

OVERVIEW = Dashboard(
    uid="graphbed-overview",
    title="Graphbed: overview",
    by_job=True,
    panels=(
        stat("Progress", "percentunit", of_job("progress_ratio")),
        stat("Time left", "s", of_job("eta_seconds")),
        stat("Epochs completed", "none", of_job("epoch")),
        stat("Loss per edge", "none", of_job("loss")),
        stat("Checkpoint age", "s", of_job("manifest_age_seconds")),
        stat(
            "Alerts firing",
            "none",
            'count(ALERTS{alertstate="firing",alertname=~"Graphbed.*",alertname!="GraphbedWatchdog"}) or vector(0)',
            legend="alerts",
        ),
        Panel(title="Progress", queries={"{{job_name}}": of_job("progress_ratio")}, unit="percentunit", largest=1),
        Panel(
            title="Edges per second",
            queries={"all trainers": rate(EDGES), "over five minutes": "cluster:graphbed_trainer_edges:rate5m"},
            unit="cps",
        ),
        Panel(
            title="Loss per edge",
            queries={"{{job_name}}": of_job("loss")},
            description="Of what is committed of the newest epoch; it starts anew with each epoch.",
        ),
        Panel(
            title="Quality",
            queries={
                "{{job_name}}: MRR, {{split}}": of_job("evaluation_mrr", "split"),
                "{{job_name}}: Hits@{{k}}, {{split}}": of_job("evaluation_hits_ratio", "split", "k"),
            },
            description="Of the newest `graphbed eval`; no point before the first.",
        ),
        Panel(title="Time left", queries={"{{job_name}}": of_job("eta_seconds")}, unit="s"),
        Panel(
            title="Work",
            queries={
                "{{job_name}}: leases": of_job("leases_active"),
                "{{job_name}}: trainers with a lease": of_job("trainers_active"),
            },
        ),
        Panel(title="Buckets to do", queries={"{{job_name}}": of_job("buckets_pending")}),
        Panel(title="Jobs", queries={"{{status}}": "max by (status) (graphbed_lockserver_jobs)"}),
        Panel(
            title="Commits that no manifest tells of yet",
            queries={"{{job_name}}": of_job("commits_unrecorded")},
            description="What the loss of Redis would cost at this moment.",
        ),
        Panel(title="Processes", queries={"{{service}}": "count by (service) (graphbed_build_info)"}),
    ),
)

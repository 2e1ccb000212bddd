"""Queries: the few forms of PromQL that the panels are made of.

Gauges of jobs are the same in every lock server, so they are joined by `max`; counters are added up.
"""

EDGES = "graphbed_trainer_edges_total"


def of_job(name: str, *labels: str) -> str:
    """A gauge of the chosen jobs, by some more labels."""
    return f'max by ({", ".join(["job_name", *labels])}) (graphbed_lockserver_{name}{{job_name=~"$job_name"}})'


def rate(name: str, *labels: str, where: str = "") -> str:
    """A counter's rate, by some labels."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({name}{where}[$__rate_interval]))"


def quantile(share: float, name: str, *labels: str) -> str:
    """A quantile of a histogram, by some labels."""
    return f"histogram_quantile({share}, {rate(f'{name}_bucket', *labels, 'le')})"


def of_service(metric: str, service: str) -> str:
    """A metric of the client library, of one service's processes."""
    return f'{metric} * on (instance) group_left () graphbed_build_info{{service="graphbed.v1.{service}"}}'

"""What the cluster's Prometheus sees."""

import json
import urllib.error
import urllib.request


def up_targets(prometheus: str, job: str) -> int:
    """How many of the job's targets answered their last scrape; 0 while Prometheus itself does not answer.

    Asked of its list of targets: the series `up` tells for five minutes of those that it saw before it was killed.
    """
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/targets?state=active", timeout=5.0) as reply:
            targets = json.load(reply)["data"]["activeTargets"]
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return 0
    return sum(target["labels"]["job"] == job and target["health"] == "up" for target in targets)

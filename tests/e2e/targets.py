"""What the cluster's Prometheus sees."""

import json
import urllib.error
import urllib.parse
import urllib.request


def up_targets(prometheus: str, job: str) -> int:
    """How many of the job's targets answered the last scrape; 0 while Prometheus itself does not answer."""
    query = urllib.parse.urlencode({"query": f'sum(up{{job="{job}"}})'})
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=5.0) as reply:
            result = json.load(reply)["data"]["result"]
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return 0
    return int(float(result[0]["value"][1])) if result else 0

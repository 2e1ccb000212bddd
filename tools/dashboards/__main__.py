"""Regenerate deploy/grafana/dashboards, or with --check say whether they differ."""

import json
import sys
from pathlib import Path

from tools.dashboards.grpc import GRPC
from tools.dashboards.leases import LEASES
from tools.dashboards.overview import OVERVIEW
from tools.dashboards.panels import document
from tools.dashboards.parameters import PARAMETERS
from tools.dashboards.storage import STORAGE
from tools.dashboards.trainers import TRAINERS

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards"
DASHBOARDS = (OVERVIEW, TRAINERS, LEASES, STORAGE, PARAMETERS, GRPC)


def documents() -> dict[Path, str]:
    """Path → what it must hold."""
    return {
        FOLDER / f"{board.uid.removeprefix('graphbed-')}.json": json.dumps(document(board), indent=1) + "\n"
        for board in DASHBOARDS
    }


def main() -> None:
    wanted = documents()
    if "--check" in sys.argv:
        differing = {path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text}
        differing |= {path.name for path in FOLDER.glob("*.json") if path not in wanted}
        if differing:
            raise SystemExit(f"run `make docs`: {', '.join(sorted(differing))} differ from tools/dashboards")
        return
    for path, text in wanted.items():
        path.write_text(text)


if __name__ == "__main__":
    main()

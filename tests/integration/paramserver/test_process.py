"""The parameter server as the process that operators run."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from graphbed.rpc.healthcheck import is_serving
from tests.fixtures.processes import ServiceProcess


def test_it_serves_until_sigterm_and_exits_with_zero(tmp_path: Path):
    with ServiceProcess("paramserver", tmp_path, {"GRAPHBED_STORE": str(tmp_path / "store")}) as process:
        assert is_serving(process.address, "graphbed.v1.ParamServer")
        with urllib.request.urlopen(f"http://{process.metrics_address}/metrics", timeout=5) as page:
            assert b"graphbed_paramserver_live_leases 0.0" in page.read()
        check = [sys.executable, "-m", "graphbed.rpc.healthcheck", process.address]
        assert subprocess.run(check, check=False, capture_output=True).returncode == 0
        assert process.terminate() == 0
        assert subprocess.run(check, check=False, capture_output=True).returncode == 1
        lines = [json.loads(line) for line in process.log().splitlines()]
    assert [line["msg"] for line in lines] == ["serving", "stopping", "stopped"]
    assert {line["service"] for line in lines} == {"paramserver"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRAPHBED_STORE", ""),
        ("GRAPHBED_LISTEN", "nowhere"),
        ("GRAPHBED_LISTEN", "203.0.113.1:7103"),
        ("GRAPHBED_METRICS_LISTEN", "127.0.0.1:no"),
        ("GRAPHBED_MAX_JOB_BYTES", "many"),
        ("GRAPHBED_LOG_LEVEL", "loud"),
        ("GRAPHBED_GRACE_SECONDS", "-1"),
    ],
)
def test_a_bad_environment_is_one_line_and_exit_two(tmp_path: Path, variable: str, value: str):
    environment = {
        **os.environ,
        "GRAPHBED_STORE": str(tmp_path / "store"),
        "GRAPHBED_LISTEN": "127.0.0.1:0",
        variable: value,
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.paramserver"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert (value or variable) in done.stderr
    assert not (tmp_path / "store").exists()


def test_its_process_carries_no_trainer_library():
    script = (
        "import sys, services.paramserver.__main__;"
        "loaded = {name.split('.')[0] for name in sys.modules};"
        "print(*{'torch', 'numba', 'scipy_openblas32', 'pyarrow', 'redis'} & loaded)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

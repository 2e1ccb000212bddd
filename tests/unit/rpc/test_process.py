"""Signals end a process the way operators expect."""

import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import os, sys, time
from graphbed.rpc.process import run_process

class Server:
    address, metrics_address = "127.0.0.1:7", None
    def stop(self, grace_seconds):
        time.sleep(min(grace_seconds, float(sys.argv[1])))

sys.exit(run_process(Server, environ=os.environ, service="tester"))
"""


def start(folder: Path, *, stop_seconds: float) -> subprocess.Popen[str]:
    """A process whose server takes `stop_seconds` to stop, once it has written its address."""
    file = folder / "address"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(stop_seconds)],
        env={"GRAPHBED_ADDRESS_FILE": str(file), "GRAPHBED_GRACE_SECONDS": "30", "PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.01)
    assert file.read_text() == "127.0.0.1:7\n\n"
    return process


def test_an_interrupt_stops_gracefully_and_exits_with_zero(tmp_path: Path):
    process = start(tmp_path, stop_seconds=0)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_a_second_signal_changes_nothing(tmp_path: Path):
    process = start(tmp_path, stop_seconds=1)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while '"stopping"' not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert '"stopped"' in process.stderr.read()
    process.stderr.close()


def test_a_signal_that_meets_another_thread_stops_the_process_too():
    script = SCRIPT.replace(
        "sys.exit(",
        "import signal, threading\n"
        "def strike():\n"
        "    time.sleep(0.5)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "threading.Thread(target=strike, daemon=True).start()\n"
        "sys.exit(",
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script, "0"], env=environment, capture_output=True, timeout=30)
    assert done.returncode == 0
    assert b'"stopped"' in done.stderr

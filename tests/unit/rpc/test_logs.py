"""Log lines: one JSON object each, no secrets."""

import json
import subprocess
import sys

import pytest

from graphbed import logs
from graphbed.errors import InputError

SCRIPT = """
import logging, sys
from graphbed import logs
logs.configure(*sys.argv[1:])
log = logs.get_logger("graphbed.test")
log.debug("not shown")
log.info("lease committed", lease="0f", edges=3, redis_password="hunter2", store="http://key:hunter2@host:9000/b")
logging.getLogger("some.library").warning("careful %s", "there")
try:
    raise ValueError("broken")
except ValueError:
    log.exception("it failed")
"""


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_a_line_is_a_json_object_with_time_level_message_service_and_facts():
    committed, foreign, failed = [json.loads(line) for line in run("info", "json", "tester").splitlines()]
    assert committed["ts"].endswith("Z")
    assert {key: committed[key] for key in ("level", "msg", "service", "lease", "edges")} == {
        "level": "info",
        "msg": "lease committed",
        "service": "tester",
        "lease": "0f",
        "edges": 3,
    }
    assert (foreign["msg"], foreign["level"]) == ("careful there", "warning")
    assert failed["level"] == "error"
    assert "ValueError: broken" in failed["exception"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_blanked(form: str):
    output = run("info", form, "tester")
    assert "lease committed" in output
    assert "hunter2" not in output


def test_the_level_holds_back_what_is_below_it():
    assert "not shown" in run("debug", "json", "tester")
    assert "lease committed" not in run("error", "json", "tester")


@pytest.mark.parametrize("arguments", [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused(arguments: tuple[str, str]):
    with pytest.raises(InputError):
        logs.configure(*arguments, "tester")


BOUND = """
import logging, sys, threading
from graphbed import logs
logs.configure("info", "json", "tester")
log = logs.get_logger("graphbed.test")
with logs.bound(job="j", lease="l"):
    with logs.bound(lease="inner"):
        log.info("nested")
    log.info("line", lease="own")
    logging.getLogger("library").warning("foreign")
    thread = threading.Thread(target=logs.carrying(lambda: log.info("thread")))
thread.start()
thread.join()
log.info("outside")
"""


def test_what_is_bound_is_on_every_line_and_what_a_line_says_itself_comes_first():
    done = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, check=True)
    lines = {line["msg"]: line for line in map(json.loads, done.stderr.splitlines())}
    facts = {msg: (line.get("job"), line.get("lease")) for msg, line in lines.items()}
    assert facts == {
        "nested": ("j", "inner"),
        "line": ("j", "own"),
        "foreign": ("j", "l"),
        "thread": ("j", "l"),
        "outside": (None, None),
    }

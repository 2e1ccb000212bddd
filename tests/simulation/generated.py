"""python -m tests.simulation.generated: bugs made by machine in the transitions, each to be found.

Every comparison, condition, number, `raise` and keyword argument of the file is changed once. What the simulation does
not find in a few seeds is given to the lock server's unit tests. Writes what it missed as JSON.
"""

import argparse
import ast
import functools
import importlib
import json
import os
import resource
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.spoilt import ROOT, commit, copy_of_the_code, run_unit_tests

TARGET = "services/lockserver/transitions.py"
MODULE = "services.lockserver.transitions"
SECONDS = 120
"""Longest time of a core for one mutant: one that never ends is found."""
SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One change of the file."""

    line: int
    what: str
    """The code before and after."""
    source: str
    """The whole changed file."""


def mutants(source: str) -> Iterator[Generated]:
    """Each mutant of the source, in the order of its lines."""
    places = sum(1 for _ in _places(ast.parse(source)))
    for number in range(places):
        tree = ast.parse(source)
        node, index = list(_places(tree))[number]
        before = ast.unparse(node)
        _change(node, index)
        after = ast.unparse(node)
        yield Generated(line=node.lineno, what=f"{_short(before)} → {_short(after)}", source=ast.unparse(tree))


def _places(tree: ast.Module) -> Iterator[tuple[ast.stmt | ast.expr, int]]:
    """Every node that can be changed, with which part of it, the file's docstrings and types left alone."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in (inner for statement in function.body for inner in ast.walk(statement)):
            match node:
                case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
                    yield node, 0
                case ast.BoolOp() | ast.If() | ast.IfExp() | ast.Raise() | ast.Assert():
                    yield node, 0
                case ast.Constant(value=bool() | int()):
                    yield node, 0
                case ast.Call(keywords=[_, *_]):
                    yield from ((node, index) for index, keyword in enumerate(node.keywords) if keyword.arg)
                case ast.BinOp(op=ast.Add()):
                    yield node, 0


def _change(node: ast.stmt | ast.expr, index: int) -> None:
    match node:
        case ast.Compare():
            node.ops = [SWAPPED[type(node.ops[0])]()]
        case ast.BoolOp():
            node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        case ast.If() | ast.IfExp():
            node.test = ast.Constant(value=False)
        case ast.Raise():
            node.exc, node.cause = ast.parse("KeyError()", mode="eval").body, None
        case ast.Assert():
            node.test = ast.Constant(value=True)
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int(number)):
            node.value = number + 1
        case ast.Call():
            del node.keywords[index]
        case ast.BinOp():
            node.op = ast.Sub()


def found(
    mutants: Iterable[Generated], look: Callable[[Generated], object], *, jobs: int
) -> Iterator[tuple[Generated, bool]]:
    """Each mutant, and whether `look` does not return; `jobs` of them at once, each in a child of this process."""
    waiting = iter(mutants)
    running: dict[int, Generated] = {}
    while True:
        while len(running) < jobs and (mutant := next(waiting, None)) is not None:
            running[_child(mutant, look)] = mutant
        if not running:
            return
        pid, status = os.wait()
        yield running.pop(pid), status != 0


def _child(mutant: Generated, look: Callable[[Generated], object]) -> int:
    child = os.fork()
    if child:
        return child
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        look(mutant)
    except BaseException:
        os._exit(1)
    os._exit(0)


def simulate_with(mutant: Generated, *, seeds: int, steps: int) -> None:
    """Simulate with the mutant in the place of the file. Raises what the simulation finds."""
    simulate = _simulation_with(mutant.source)
    for seed in range(seeds):
        simulate(seed, steps=steps)


def _simulation_with(source: str) -> Callable[..., object]:
    """The simulation, imported anew on top of the changed file."""
    for name in [name for name in sys.modules if name.startswith(("services.lockserver", "tests."))]:
        del sys.modules[name]
    module = types.ModuleType(MODULE)
    module.__file__ = TARGET
    sys.modules[MODULE] = module
    exec(compile(source, TARGET, "exec"), module.__dict__)
    return importlib.import_module("tests.simulation.run").simulate  # type: ignore[no-any-return]


def run_unit_tests_on(mutant: Generated) -> None:
    """Run the lock server's unit tests on a copy of the code with the mutant in it; AssertionError if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of_the_code(Path(folder))
        (copy / TARGET).write_text(mutant.source)
        assert not run_unit_tests(copy)


def _short(code: str) -> str:
    one_line = " ".join(code.split())
    return one_line if len(one_line) <= 70 else f"{one_line[:50]} … {one_line[-17:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "generated-mutants.json")
    parser.add_argument("--again", action="store_true", help="give those to the unit tests that nothing found in OUT")
    arguments = parser.parse_args()
    generated = list(mutants((ROOT / TARGET).read_text()))
    # What the children import is heavy; here it is imported once for all of them.
    importlib.import_module("tests.simulation.run")
    about = {
        "commit": commit(),
        "command": f"python -m tests.simulation.generated --seeds {arguments.seeds} --steps {arguments.steps}",
        "file": TARGET,
    }
    by: dict[Generated, str] = {}

    def note(mutant: Generated, found_by: str) -> None:
        by[mutant] = found_by
        print(f"{found_by:10} {mutant.line:4}  {mutant.what}", flush=True)
        # After each, so that an interrupted run leaves what it found.
        arguments.out.write_text(json.dumps({**about, **_summary(by)}, indent=1, ensure_ascii=False) + "\n")

    if arguments.again:
        about, by = _recorded(json.loads(arguments.out.read_text()), generated)
    else:
        simulation = functools.partial(simulate_with, seeds=arguments.seeds, steps=arguments.steps)
        for mutant, finds in found(generated, simulation, jobs=arguments.jobs):
            note(mutant, "simulation" if finds else "nothing")
    missed = [mutant for mutant in by if by[mutant] == "nothing"]
    for mutant, finds in found(missed, run_unit_tests_on, jobs=arguments.jobs):
        note(mutant, "unit tests" if finds else "nothing")
    sys.exit("nothing" in by.values())


def _recorded(record: Mapping[str, Any], generated: Sequence[Generated]) -> tuple[dict[str, Any], dict[Generated, str]]:
    """What the record of a whole run is about, and what found each mutant."""
    if sum(record["mutants"].values()) != len(generated):
        raise SystemExit("the record is of an interrupted run or of another file: run without --again")
    missed = {(told["line"], told["what"]): told["found_by"] for told in record["missed by the simulation"]}
    by = {mutant: missed.get((mutant.line, mutant.what), "simulation") for mutant in generated}
    return {key: record[key] for key in ("commit", "command", "file")}, by


def _summary(by: Mapping[Generated, str]) -> dict[str, Any]:
    """How many were found by what, and those that the simulation missed."""
    counts = {name: sum(each == name for each in by.values()) for name in ("simulation", "unit tests", "nothing")}
    missed = sorted((mutant.line, mutant.what, found_by) for mutant, found_by in by.items() if found_by != "simulation")
    told = [{"line": line, "what": what, "found_by": found_by} for line, what, found_by in missed]
    return {"mutants": counts, "missed by the simulation": told}


if __name__ == "__main__":
    main()

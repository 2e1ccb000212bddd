"""python -m tests.simulation.generated: bugs made by machine in the transitions, each to be found by the simulation.

Every comparison, condition, number, `raise` and keyword argument of the file is changed once. What the simulation does
not find in a few seeds is given to the lock server's unit tests. Writes what survives as JSON.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.simulation.mutants import ROOT, copy_of_the_code

TARGET = "services/lockserver/transitions.py"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a mutant."""

    line: int
    what: str
    found_by: str
    """simulation, unit tests, or nothing."""


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


def judge(mutant: Generated, *, seeds: int, steps: int) -> Verdict:
    """Run the simulation, and the unit tests if it finds nothing, on a copy of the code with the mutant in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of_the_code(Path(folder))
        (copy / TARGET).write_text(mutant.source)
        simulation = ["tests.simulation", "--seeds", "0", str(seeds), "--steps", str(steps)]
        units = ["pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "tests/unit/lockserver"]
        for name, arguments in (("simulation", simulation), ("unit tests", units)):
            if _fails(copy, arguments):
                return Verdict(line=mutant.line, what=mutant.what, found_by=name)
    return Verdict(line=mutant.line, what=mutant.what, found_by="nothing")


def _fails(copy: Path, arguments: list[str]) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", *arguments]
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def _short(code: str) -> str:
    one_line = " ".join(code.split())
    return one_line if len(one_line) <= 70 else f"{one_line[:50]} … {one_line[-17:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "mutants.json")
    arguments = parser.parse_args()
    verdicts = []
    for mutant in mutants((ROOT / TARGET).read_text()):
        verdicts.append(judge(mutant, seeds=arguments.seeds, steps=arguments.steps))
        print(f"{verdicts[-1].found_by:10} {mutant.line:4}  {mutant.what}", flush=True)
    found = {name: sum(v.found_by == name for v in verdicts) for name in ("simulation", "unit tests", "nothing")}
    survivors = [asdict(verdict) for verdict in verdicts if verdict.found_by != "simulation"]
    arguments.out.write_text(json.dumps({"file": TARGET, "mutants": found, "missed": survivors}, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()

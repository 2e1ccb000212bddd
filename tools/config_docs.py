"""Regenerate docs/config.md and docs/job.schema.json from JobConfig, or with --check say whether they differ."""

import enum
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from graphbed.config.job import JobConfig

DOCS = Path(__file__).resolve().parent.parent / "docs"
INTRODUCTION = """# Configuration

<!-- Made by `make docs` from graphbed/config/job.py; `make lint` fails if it differs. -->

One YAML file describes one job; `examples/` has some. Unknown keys are refused. `docs/job.schema.json` is the same as
a JSON schema: editors with a YAML language server check and complete a file that begins with
`# yaml-language-server: $schema=../docs/job.schema.json`.
"""


def page() -> str:
    """The whole of docs/config.md."""
    sections: dict[type[BaseModel], str] = {JobConfig: "The job"}
    enums: list[type[enum.StrEnum]] = []
    parts = [INTRODUCTION]
    while len(parts) <= len(sections):
        model = list(sections)[len(parts) - 1]
        rows = [_row(name, field, sections, enums) for name, field in model.model_fields.items()]
        parts.append(
            f"\n## {sections[model]}\n\n{_line(model.__doc__)}\n\n"
            "| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    for kind in enums:
        parts.append(f"\n## {kind.__name__}\n\n{_line(kind.__doc__)} One of {', '.join(f'`{m}`' for m in kind)}.\n")
    return "".join(parts)


def _row(name: str, field: FieldInfo, sections: dict[type[BaseModel], str], enums: list[type[enum.StrEnum]]) -> str:
    kind = _type(field.annotation, sections, enums, name)
    return f"| `{name}` | {', '.join([kind, *_limits(field)])} | {_default(field)} | {_line(field.description)} |"


def _limits(field: FieldInfo) -> list[str]:
    found = [(sign, getattr(note, name, None)) for note in field.metadata for name, sign in _SIGNS.items()]
    return [f"{sign} {value}".replace("<", "\\<") for sign, value in found if value is not None]


_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "min_length": "length ≥"}


def _type(annotation: Any, sections: dict[type[BaseModel], str], enums: list[type[enum.StrEnum]], key: str) -> str:
    """A type in words; notes the sections and choices that it names."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner = [limit for note in arguments[1:] if isinstance(note, FieldInfo) for limit in _limits(note)]
        return ", ".join([_type(arguments[0], sections, enums, key), *inner])
    if origin is list:
        return f"list of {_type(arguments[0], sections, enums, key)}"
    if origin is dict:
        return f"map of name to {_type(arguments[1], sections, enums, key)}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(argument, sections, enums, key) for argument in arguments)
    if annotation is type(None):
        return "null"
    if issubclass(annotation, BaseModel):
        title = sections.setdefault(annotation, f"`{key}`")
        return f"[{title.strip('`')}](#{title.strip('`')})"
    if issubclass(annotation, enum.Enum):
        if annotation not in enums:
            enums.append(annotation)
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return {str: "text", int: "integer", float: "number", bool: "true or false"}[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "its defaults"
    return f"`{json.dumps(value)}`"


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "\\<")


def documents() -> dict[Path, str]:
    """Path → what it must hold."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **JobConfig.model_json_schema()}
    return {
        DOCS / "config.md": page(),
        DOCS / "job.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n",
    }


def main() -> None:
    if "--check" in sys.argv:
        differing = [p.name for p, text in documents().items() if not p.exists() or p.read_text() != text]
        if differing:
            raise SystemExit(f"run `make docs`: {', '.join(differing)} differ from graphbed/config/job.py")
        return
    for path, text in documents().items():
        path.write_text(text)


if __name__ == "__main__":
    main()

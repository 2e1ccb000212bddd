"""Reading a job's YAML, with errors that name the file and the key."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from graphbed.config.job import JobConfig
from graphbed.errors import BadConfig, InputError

try:
    # Several times as fast, and in every wheel of PyYAML; a build without libyaml lacks it.
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]


def parse_job(text: str, *, source: str) -> JobConfig:
    """The configuration in `text`; `source` names it in errors. Raises BadConfig."""
    try:
        document = yaml.load(text, Loader=SafeLoader)
    except yaml.YAMLError as error:
        raise BadConfig(what=f"{source} is not YAML: {_one_line(str(error))}") from error
    if not isinstance(document, dict):
        raise BadConfig(what=f"{source} must hold keys and values")
    try:
        return JobConfig.model_validate(document)
    except ValidationError as error:
        # A misspelt key is unknown and missing at once; the unknown one is what was typed.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise BadConfig(what=f"{source}: {_explain(first['loc'], first['type'], first['msg'])}") from error


def load_job(path: Path) -> JobConfig:
    """The configuration in a file, relative paths in it taken from the file's folder. Raises BadConfig, InputError."""
    try:
        text = path.read_text()
    except OSError as error:
        raise InputError(what=f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadConfig(what=f"{path} is not UTF-8 text") from error
    config = parse_job(text, source=str(path))
    store = config.store if "://" in config.store else str(path.parent / Path(config.store).expanduser())
    edges = {
        split: files.model_copy(update={"files": [str(path.parent / Path(name).expanduser()) for name in files.files]})
        for split, files in config.edges.items()
    }
    entities = {
        name: entity.model_copy(update={"init_path": str(path.parent / Path(entity.init_path).expanduser())})
        if entity.init_path
        else entity
        for name, entity in config.entities.items()
    }
    return config.model_copy(update={"store": store, "edges": edges, "entities": entities})


def dump_job(config: JobConfig) -> str:
    """YAML that `parse_job` reads back to an equal configuration."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _explain(location: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"unknown key {key}; docs/config.md lists the keys"
    if kind == "missing":
        return f"the key {key} is missing"
    text = _one_line(message.removeprefix("Value error, "))
    return f"{key}: {text}" if key else text


def _one_line(text: str) -> str:
    return " ".join(text.split())

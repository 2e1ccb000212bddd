"""The space of a tuning: which keys of a job may take which values, and the trials that are drawn from it."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag, ValidationError, model_validator

from graphbed.config.job import JobConfig
from graphbed.errors import BadConfig, InputError

Value = float | int | bool | str
Setting = Mapping[str, Value]
"""One trial: key → value."""

FIXED = frozenset({"job", "graph", "store", "entities", "relations", "edges", "num_epochs", "num_groups", "seed"})
"""Keys that say what is trained and for how long; everything else of a job may be tuned."""
MOST_VALUES = 1000


class Range(BaseModel):
    """A range of numbers, drawn evenly by value or by logarithm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: Annotated[float, Field(allow_inf_nan=False)]
    max: Annotated[float, Field(allow_inf_nan=False)]
    scale: Literal["linear", "log"] = "linear"
    integer: bool = False
    """Round to whole numbers."""

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min >= self.max:
            raise ValueError(f"min {self.min} must be below max {self.max}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError("min must be above 0 where the scale is log")
        return self

    def draw(self, generator: np.random.Generator) -> float | int:
        """A number of the range."""
        if self.scale == "log":
            number = math.exp(generator.uniform(math.log(self.min), math.log(self.max)))
        else:
            number = float(generator.uniform(self.min, self.max))
        # Four digits say as much, and can be read.
        return round(number) if self.integer else float(f"{number:.4g}")


Values = Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)]
Choice = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Values, Tag("list")],
    Discriminator(lambda given: "range" if isinstance(given, dict | Range) else "list"),
]


class Space(RootModel[dict[str, Choice]]):
    """Key of the job → its possible values, as a list or a range."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _known(self) -> "Space":
        if not self.root:
            raise ValueError("it names no key")
        for key in self.root:
            if key in FIXED or key not in JobConfig.model_fields:
                raise ValueError(f"{key} is not a key that can be tuned; docs/config.md lists the keys of a job")
        return self

    def draw(self, trials: int, *, seed: int) -> list[Setting]:
        """At most `trials` different settings: all there are if they are that few, else a sample drawn with `seed`."""
        lists = [values for values in self.root.values() if isinstance(values, list)]
        if len(lists) == len(self.root) and math.prod(len(values) for values in lists) <= trials:
            return [dict(zip(self.root, values, strict=True)) for values in product(*lists)]
        generator = np.random.Generator(np.random.PCG64(seed))
        drawn: dict[tuple[Value, ...], Setting] = {}
        # Bounded, because a narrow range of whole numbers may hold fewer settings than are asked for.
        for _ in range(20 * trials):
            setting = {key: _draw(values, generator) for key, values in self.root.items()}
            drawn.setdefault(tuple(setting.values()), setting)
            if len(drawn) == trials:
                break
        return list(drawn.values())


DEFAULT_SPACE = Space(
    {
        "lr": Range(min=0.02, max=0.5, scale="log"),
        "regularization_coef": Range(min=0.001, max=0.2, scale="log"),
        "lr_decay": [0.85, 0.9, 0.95, 1.0],
    }
)
"""What is tried unless a file says otherwise."""


def load_space(path: Path) -> Space:
    """The space in a YAML file. Raises InputError if it cannot be read, BadConfig with the key if it makes no sense."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(what=f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(what=f"{path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return Space.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = next((f"{part}: " for part in first["loc"] if isinstance(part, str)), "")
        raise BadConfig(what=f"{path}: {key}{first['msg'].removeprefix('Value error, ')}") from error


def with_setting(config: JobConfig, setting: Setting) -> JobConfig:
    """The job with the values of a trial. Raises BadConfig if they do not go together."""
    document: dict[str, Any] = {**config.model_dump(mode="json"), **setting}
    try:
        return JobConfig.model_validate(document)
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadConfig(what=f"the trial {describe(setting)} cannot be run: {what}") from error


def describe(setting: Setting) -> str:
    """A setting in one line."""
    return ", ".join(f"{key}={value}" for key, value in setting.items())


def _draw(values: Range | Sequence[Value], generator: np.random.Generator) -> Value:
    if isinstance(values, Range):
        return values.draw(generator)
    return values[int(generator.integers(len(values)))]

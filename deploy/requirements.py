"""Prints what the project needs, one requirement a line: `requirements.py [EXTRA ...]`, from ./pyproject.toml.

An image installs these before the project itself, so that a change of the code rebuilds one small layer only.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
chosen = list(project["dependencies"])
for extra in sys.argv[1:]:
    chosen += project["optional-dependencies"][extra]
sys.stdout.write("".join(f"{requirement}\n" for requirement in chosen))

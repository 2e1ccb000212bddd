"""Regenerate graphbed/v1 from protos/, or with --check say whether it differs."""

import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").rglob("*.proto"))
PLUGINS = Path(sys.executable).parent


def generate(target: Path) -> None:
    """Write the stubs of all protos below `target`; raise SystemExit if protoc fails."""
    includes = [f"-I{ROOT / 'protos'}", f"-I{Path(protoc.__file__).parent / '_proto'}"]
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python")]
    outputs += [f"--{kind}_out={target}" for kind in ("mypy", "mypy_grpc")]
    plugins = [f"--plugin=protoc-gen-{kind}={PLUGINS / ('protoc-gen-' + kind)}" for kind in ("mypy", "mypy_grpc")]
    if protoc.main(["protoc", *includes, *plugins, *outputs, *SOURCES]) != 0:
        raise SystemExit("protoc failed")


def main() -> None:
    if "--check" not in sys.argv:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        made = sorted(path.relative_to(folder) for path in Path(folder).rglob("*_pb2*"))
        differing = [
            str(p) for p in made if not (ROOT / p).exists() or not filecmp.cmp(ROOT / p, Path(folder) / p, False)
        ]
        if differing:
            raise SystemExit(f"run `make protos`: {', '.join(differing)} differ from protos/")


if __name__ == "__main__":
    main()

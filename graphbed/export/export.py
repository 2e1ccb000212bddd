"""Export: a checkpoint as files that other tools read."""

import json
from pathlib import Path

from graphbed.errors import InputError
from graphbed.export.folder import new_folder
from graphbed.export.formats import FORMATS
from graphbed.export.model import Exported
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.objects import ObjectStore


def export(store: ObjectStore, checkpoint: Checkpoint, file_format: str, target: Path) -> list[Path]:
    """Write `checkpoint` into the new folder `target` and return its files, sorted.

    Raises InputError for an unknown format or a target that cannot be used, StoreFull, ObjectCorrupt; then `target` is
    as it was.
    """
    if file_format not in FORMATS:
        raise InputError(what=f"There is no format {file_format!r}; there are {', '.join(FORMATS)}.")
    exported = Exported(store=store, checkpoint=checkpoint)
    with new_folder(target) as folder:
        (folder / "entities").mkdir()
        FORMATS[file_format](exported, folder)
        (folder / "export.json").write_text(
            json.dumps({"format": file_format, **exported.description()}, indent=1) + "\n"
        )
    return sorted(path for path in target.rglob("*") if path.is_file())

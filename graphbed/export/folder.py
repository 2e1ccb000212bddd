"""A folder that appears complete or not at all."""

import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbed.errors import InputError, StoreFull


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write into; it becomes `target` when the block ends, and vanishes if it fails.

    Raises InputError if `target` exists and is not an empty folder or cannot be written, StoreFull if the disk is full.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(what=f"{target} exists and is not an empty folder; choose another --out.")
    unfinished = target.absolute().parent / f".{target.name}-unfinished-{secrets.token_hex(8)}"
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(store=target) from error
        raise InputError(what=f"{target} cannot be written: {error.strerror or error}") from error
    finally:  # also after Ctrl-C; after a success there is nothing left
        shutil.rmtree(unfinished, ignore_errors=True)

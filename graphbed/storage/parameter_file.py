"""Parameter files: named float32 tensors, such as the relation operators and their optimizer sums."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from graphbed.errors import ObjectCorrupt, TooLarge
from graphbed.storage import tensor_file
from graphbed.storage.tensor_file import BadTensorFile, Buffer


def pack_tensors(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The tensors as a safetensors file, in the order of their names; equal tensors give equal bytes.

    Raises ValueError if one is not float32.
    """
    return tensor_file.pack(tensors)


def unpack_tensors(data: Buffer, *, key: str, max_bytes: int) -> dict[str, NDArray[np.float32]]:
    """The tensors as views of `data`, read-only if `data` is; `key` names the object in errors.

    Raises TooLarge above `max_bytes`, ObjectCorrupt if the bytes are not a safetensors file of float32.
    """
    if len(data) > max_bytes:
        raise TooLarge(what=f"the parameter object {key}", size=len(data), limit=max_bytes)
    try:
        return tensor_file.unpack(data)
    except BadTensorFile as error:
        raise ObjectCorrupt(key=key, what=str(error)) from None

"""S3 as object store: checksums kept with the objects and verified on reading, create-only writes that really are."""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from graphbed.errors import InputError, ObjectCorrupt, ObjectExists, ObjectMissing, StoreUnavailable
from graphbed.storage.keys import check_key, check_prefix
from graphbed.storage.objects import StoredObject, sha256_hex
from graphbed.storage.s3_connections import Patience, connection_pool
from graphbed.storage.s3_errors import CONFLICT, is_missing, s3_errors

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PART_BYTES = 16 << 20
"""Size of the parts of a streamed object: what one upload keeps in memory. S3 allows 10,000 parts."""
_MAX_PARTS = 10_000
_SHA256 = "x-amz-meta-sha256"
_CONFLICT_TRIES = 5
PATIENCE = Patience()


class S3Store:
    """Objects in a bucket, below a prefix. The bucket must exist."""

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        prefix: str,
        access_key: str,
        secret_key: str,
        region: str = "us-east-1",
        connections: int = 32,
        patience: Patience = PATIENCE,
    ) -> None:
        """`endpoint` is http://host:port or https://…; it is asked at the first use. Raises InputError."""
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.netloc or "@" in url.netloc or url.path not in ("", "/"):
            raise InputError(what="The S3 endpoint must look like http://host:port, with nothing behind it.")
        if not _BUCKET.fullmatch(bucket):
            raise InputError(what=f"{bucket!r} cannot name a bucket: 3 to 63 of a-z, 0-9, '.' and '-'.")
        self._bucket = bucket
        self._prefix = check_key(prefix.strip("/")) + "/" if prefix.strip("/") else ""
        self._address = f"{url.scheme}://{url.netloc}/{bucket}"
        try:
            self._client: Any = Minio(
                url.netloc,
                access_key=access_key,
                secret_key=secret_key,
                region=region,
                secure=url.scheme == "https",
                http_client=connection_pool(connections, patience),
            )
        except ValueError as error:
            raise InputError(what=f"The S3 endpoint {url.netloc} cannot be used: {error}.") from None

    @property
    def address(self) -> str:
        return f"{self._address}/{self._prefix}".rstrip("/")

    def create(self, key: str, data: bytes) -> StoredObject:
        stored = StoredObject(key=check_key(key), size=len(data), sha256=sha256_hex(data))
        headers = {"If-None-Match": "*", _SHA256: stored.sha256, "Content-Type": "application/octet-stream"}
        with self._errors(key):
            for attempt in range(1, _CONFLICT_TRIES + 1):
                try:
                    # The client's public methods send no conditions; the method below them signs any header.
                    self._client._execute("PUT", self._bucket, self._prefix + key, body=data, headers=dict(headers))
                except S3Error as error:
                    if error.code == "PreconditionFailed" or error.response.status == 412:
                        raise ObjectExists(key=key) from None
                    if error.code != CONFLICT or attempt == _CONFLICT_TRIES:
                        raise
                else:
                    break
        return stored

    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        stored = StoredObject(key=check_key(key), size=len(data), sha256=sha256_hex(data))
        self._upload(stored, _Slices(memoryview(data)))
        return stored

    def put_stream(self, key: str, chunks: Iterable[bytes], *, size: int, sha256: str) -> StoredObject:
        expected = StoredObject(key=check_key(key), size=size, sha256=sha256)
        source = _Verified(chunks, expected, self.address)
        if not size:
            source.read(0)  # the client asks for no bytes then, and nothing would be verified
        self._upload(expected, source)
        return expected

    def get(self, key: str) -> bytes:
        data = io.BytesIO()
        for chunk in self.stream(key):
            data.write(chunk)
        return data.getvalue()

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """As ObjectStore.stream; raises ObjectCorrupt after the last piece if the kept checksum is another."""
        check_key(key)
        with self._errors(key):
            response = self._client.get_object(self._bucket, self._prefix + key)
            digest = hashlib.sha256()
            size = 0
            try:
                while chunk := response.read(chunk_bytes):
                    digest.update(chunk)
                    size += len(chunk)
                    yield chunk
            finally:
                # A connection with bytes left in it cannot be used again.
                response.close()
                response.release_conn()
            expected = response.headers.get(_SHA256)
            if expected is not None and expected != digest.hexdigest():
                raise ObjectCorrupt(key=key, store=self.address)

    def exists(self, key: str) -> bool:
        check_key(key)
        with self._errors(key):
            try:
                self._client.stat_object(self._bucket, self._prefix + key)
            except S3Error as error:
                if is_missing(error):
                    return False
                raise
        return True

    def size(self, key: str) -> int:
        check_key(key)
        with self._errors(key):
            return int(self._client.stat_object(self._bucket, self._prefix + key).size)

    def list(self, prefix: str) -> list[str]:
        start = self._prefix + check_prefix(prefix)
        with self._errors(prefix):
            found = self._client.list_objects(self._bucket, prefix=start, recursive=True)
            return sorted(entry.object_name.removeprefix(self._prefix) for entry in found if not entry.is_dir)

    def sizes(self, prefix: str) -> dict[str, int]:
        start = self._prefix + check_prefix(prefix)
        with self._errors(prefix):
            found = self._client.list_objects(self._bucket, prefix=start, recursive=True)
            sizes = {entry.object_name.removeprefix(self._prefix): entry.size for entry in found if not entry.is_dir}
        return {key: sizes[key] for key in sorted(sizes)}

    def delete(self, key: str) -> None:
        check_key(key)
        with self._errors(key), suppress(ObjectMissing):
            self._client.remove_object(self._bucket, self._prefix + key)

    def delete_many(self, keys: Sequence[str]) -> None:
        objects = [DeleteObject(self._prefix + check_key(key)) for key in keys]
        if not objects:
            return
        with self._errors(keys[0]):
            # All requests are sent before the first refusal is told.
            refused = list(self._client.remove_objects(self._bucket, objects))
        if refused:
            raise StoreUnavailable(address=self.address, what=f"{refused[0].name}: {refused[0].code}")

    def abort_unfinished(self, *, older_than_seconds: float, prefix: str = "") -> int:
        """As ObjectStore.abort_unfinished; looks at a thousand uploads at a time."""
        oldest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        with self._errors(self._prefix):
            # The client has public methods for neither.
            found = self._client._list_multipart_uploads(self._bucket, prefix=self._prefix + prefix).uploads
            abandoned = [upload for upload in found if upload.initiated_time < oldest]
            for upload in abandoned:
                self._client._abort_multipart_upload(self._bucket, upload.object_name, upload.upload_id)
        return len(abandoned)

    def _upload(self, stored: StoredObject, source: "_Slices | _Verified") -> None:
        """Send it in one request, or as a multipart upload that is aborted if `source` or the store fails."""
        part_bytes = max(PART_BYTES, -(-stored.size // _MAX_PARTS))
        with self._errors(stored.key):
            self._client.put_object(
                self._bucket,
                self._prefix + stored.key,
                source,
                stored.size,
                metadata={"sha256": stored.sha256},
                part_size=part_bytes,
                # One part at a time: the memory is bounded, and concurrency comes from whoever calls.
                num_parallel_uploads=1,
            )

    def _errors(self, key: str) -> Any:
        return s3_errors(key=key, bucket=self._bucket, address=self._address)


class _Slices:
    """Reads bytes that are in memory."""

    def __init__(self, data: memoryview) -> None:
        self._left = data

    def read(self, size: int) -> bytes:
        chunk, self._left = bytes(self._left[:size]), self._left[size:]
        return chunk


class _Verified:
    """Reads a stream of chunks; the last bytes are handed out only if size and checksum are the expected ones."""

    def __init__(self, chunks: Iterable[bytes], expected: StoredObject, store: str) -> None:
        self._chunks = iter(chunks)
        self._expected = expected
        self._store = store
        self._digest = hashlib.sha256()
        self._taken = 0
        self._given = 0
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (chunk := next(self._chunks, None)) is not None:
            self._held += chunk
            self._taken += len(chunk)
            self._digest.update(chunk)
            if self._taken > self._expected.size:
                raise self._corrupt()
        piece = bytes(self._held[:size])
        del self._held[:size]
        self._given += len(piece)
        if self._given == self._expected.size:
            self._require_end()
        elif len(piece) < size:
            raise self._corrupt()
        return piece

    def _corrupt(self) -> ObjectCorrupt:
        return ObjectCorrupt(key=self._expected.key, store=self._store)

    def _require_end(self) -> None:
        more = any(len(chunk) for chunk in self._chunks)
        if more or self._taken != self._expected.size or self._digest.hexdigest() != self._expected.sha256:
            raise self._corrupt()

"""What an S3 server answers when it fails, in the words of the catalogue; never with a key or a signature."""

from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from graphbed.errors import BucketMissing, GraphbedError, ObjectMissing, StoreDenied, StoreFull, StoreUnavailable

CONFLICT = "ConditionalRequestConflict"
"""Another conditional write of the key is under way; to be repeated."""

_MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}
_DENIED = {
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
_FULL = {
    "InsufficientStorage",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioStorageFull",
    "XMinioStorageQuotaExceeded",
}
_SERVER_ERRORS = 500
_INSUFFICIENT_STORAGE = 507


@contextmanager
def s3_errors(*, key: str, bucket: str, address: str) -> Iterator[None]:
    """Raise the catalogue's error for what S3 or the way to it answered about `key`."""
    try:
        yield
    except S3Error as error:
        if is_missing(error):
            raise ObjectMissing(key=key, store=address) from None
        raise _translate(error.code or "", error.response.status, bucket=bucket, address=address) from error
    except ServerError as error:
        raise _translate("", error.status_code, bucket=bucket, address=address) from error
    except InvalidResponseError as error:
        status = error._code  # the class tells it in its message only
        if status >= _SERVER_ERRORS:
            raise _translate("", status, bucket=bucket, address=address) from error
        raise StoreUnavailable(address=address, what="its answer is not that of an S3 server") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(address=address, what=type(error).__name__) from error


def is_missing(error: S3Error) -> bool:
    """Whether the object, and not its bucket, is missing."""
    return error.code in _MISSING


def _translate(code: str, status: int, *, bucket: str, address: str) -> GraphbedError:
    if code in _FULL or status == _INSUFFICIENT_STORAGE:
        return StoreFull(store=address)
    if code in _DENIED:
        return StoreDenied(address=address, what=code)
    if code == "NoSuchBucket":
        return BucketMissing(address=address.removesuffix(f"/{bucket}"), bucket=bucket)
    return StoreUnavailable(address=address, what=code or f"HTTP status {status}")

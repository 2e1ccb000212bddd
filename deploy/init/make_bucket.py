"""Waits for the object store and makes the bucket that GRAPHBED_STORE names, unless it is there."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

PATIENCE_SECONDS = 60.0


def main(environ: Mapping[str, str]) -> int:
    """0 once the bucket is there and takes an object; 1 with one line if the store stays silent or refuses."""
    endpoint = urlsplit(environ["GRAPHBED_S3_ENDPOINT"])
    bucket = urlsplit(environ["GRAPHBED_STORE"]).netloc
    client = Minio(
        endpoint.netloc,
        access_key=_secret(environ, "GRAPHBED_S3_ACCESS_KEY"),
        secret_key=_secret(environ, "GRAPHBED_S3_SECRET_KEY"),
        secure=endpoint.scheme == "https",
        region=environ.get("GRAPHBED_S3_REGION", "us-east-1"),
        http_client=PoolManager(timeout=Timeout(connect=2.0, read=5.0), retries=Retry(0)),
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
                sys.stdout.write(f"made the bucket {bucket}\n")
            return 0
        except (MinioException, HTTPError, OSError) as error:
            refused = isinstance(error, S3Error) and error.code in {"AccessDenied", "InvalidAccessKeyId"}
            if refused or time.monotonic() > deadline:
                sys.stderr.write(f"bucket {bucket} at {endpoint.netloc}: {' '.join(str(error).split())}\n")
                return 1
            time.sleep(0.5)


def _secret(environ: Mapping[str, str], name: str) -> str:
    return Path(environ[f"{name}_FILE"]).read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(main(os.environ))

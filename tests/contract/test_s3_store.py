"""What S3 adds to the contract: keys, addresses, checksums kept with the object, a server that dies."""

import threading
import time
from pathlib import Path

import pytest
from minio import Minio

from graphbed.errors import BucketMissing, InputError, ObjectCorrupt, StoreDenied, StoreUnavailable
from graphbed.storage.address import open_store
from graphbed.storage.objects import get_verified
from graphbed.storage.s3 import PART_BYTES, S3Store
from graphbed.storage.s3_connections import SMALL_BYTES, Patience
from tests.fixtures.proxy import FAIR, Proxy, Weather
from tests.fixtures.s3 import S3Place, S3Process


def client_of(place: S3Place) -> Minio:
    endpoint = place.endpoint.removeprefix("http://")
    return Minio(endpoint, access_key=place.access_key, secret_key=place.secret_key, secure=False, region="us-east-1")


def store_behind(proxy: Proxy, place: S3Place, **patience: float) -> S3Store:
    return S3Store(
        endpoint=f"http://{proxy.address}",
        bucket=place.bucket,
        prefix=place.prefix,
        access_key=place.access_key,
        secret_key=place.secret_key,
        patience=Patience(**patience),
    )


def overwrite(place: S3Place, key: str, data: bytes, sha256: str | None = None) -> None:
    """Change an object behind the store's back."""
    import io

    metadata = {"sha256": sha256} if sha256 else None
    client_of(place).put_object(place.bucket, f"{place.prefix}/{key}", io.BytesIO(data), len(data), metadata=metadata)


def test_a_url_and_the_environment_open_the_same_store(s3: S3Place) -> None:
    opened = open_store(s3.url, s3.environ)
    opened.put("a/b", b"x")
    assert s3.store().get("a/b") == b"x"
    assert opened.address == f"{s3.endpoint}/{s3.bucket}/{s3.prefix}"


def test_keys_may_come_from_files(s3: S3Place, tmp_path: Path) -> None:
    environ = {"GRAPHBED_S3_ENDPOINT": s3.endpoint}
    for name, value in (("ACCESS_KEY", s3.access_key), ("SECRET_KEY", s3.secret_key)):
        path = tmp_path / name
        path.write_text(f"{value}\n")
        environ[f"GRAPHBED_S3_{name}_FILE"] = str(path)
    opened = open_store(s3.url, environ)
    opened.put("a", b"x")
    assert opened.list("") == ["a"]


@pytest.mark.parametrize("verb", ["put", "create", "get", "exists", "list", "delete"])
@pytest.mark.parametrize("wrong", ["access", "secret"])
def test_wrong_keys_are_named_as_such_and_never_shown(s3: S3Place, verb: str, wrong: str) -> None:
    access = "nobody-knows-this" if wrong == "access" else s3.access_key
    secret = "this-is-not-the-secret" if wrong == "secret" else s3.secret_key
    store = S3Store(endpoint=s3.endpoint, bucket=s3.bucket, prefix=s3.prefix, access_key=access, secret_key=secret)
    with pytest.raises(StoreDenied) as denied:
        getattr(store, verb)(*(["a", b"x"] if verb in ("put", "create") else ["a"]))
    assert s3.endpoint in str(denied.value)
    assert secret not in str(denied.value)
    assert access not in str(denied.value)


def test_nobody_at_the_address_is_said_quickly_with_the_address(s3_process: S3Process) -> None:
    store = S3Store(endpoint="http://127.0.0.1:9", bucket="bbb", prefix="p", access_key="k" * 8, secret_key="s" * 8)
    for verb in (lambda: store.get("a"), lambda: store.put("a", b"x"), lambda: store.create("a", b"x")):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:9/bbb"):
            verb()
        assert time.monotonic() - began < 5


def test_a_missing_bucket_is_named(s3: S3Place) -> None:
    store = S3Store(
        endpoint=s3.endpoint, bucket="no-such-bucket", prefix="", access_key=s3.access_key, secret_key=s3.secret_key
    )
    for verb in (lambda: store.get("a"), lambda: store.create("a", b"x"), lambda: store.list("")):
        with pytest.raises(BucketMissing, match="no bucket no-such-bucket"):
            verb()


def test_something_that_is_no_s3_server_is_said_to_be_none(s3: S3Place) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Website(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>not here</p>")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Website)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        store = S3Store(endpoint=address, bucket="bbb", prefix="", access_key="k" * 8, secret_key="s" * 8)
        with pytest.raises(StoreUnavailable, match="not that of an S3 server"):
            store.get("a")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_object_that_was_changed_is_refused_with_its_name(s3: S3Place) -> None:
    store = s3.store()
    stored = store.put("a/b", b"the right bytes")
    overwrite(s3, "a/b", b"the wrong bytes", sha256=stored.sha256)
    for read in (lambda: store.get("a/b"), lambda: list(store.stream("a/b"))):
        with pytest.raises(ObjectCorrupt, match="a/b"):
            read()


def test_an_object_without_a_kept_checksum_is_still_verified_against_a_receipt(s3: S3Place) -> None:
    store = s3.store()
    stored = store.put("a/b", b"the right bytes")
    overwrite(s3, "a/b", b"the wrong bytes")
    assert store.get("a/b") == b"the wrong bytes"
    with pytest.raises(ObjectCorrupt, match="a/b"):
        get_verified(store, "a/b", size=stored.size, sha256=stored.sha256)


def test_what_create_makes_carries_a_checksum_too(s3: S3Place) -> None:
    store = s3.store()
    stored = store.create("a", b"x")
    found = client_of(s3).stat_object(s3.bucket, f"{s3.prefix}/a")
    assert found.metadata["x-amz-meta-sha256"] == stored.sha256


def test_a_refused_stream_leaves_no_unfinished_upload(s3: S3Place) -> None:
    data = bytes(PART_BYTES + 1)
    with pytest.raises(ObjectCorrupt):
        s3.store().put_stream("a", [data], size=len(data), sha256="0" * 64)
    listed = client_of(s3)._list_multipart_uploads(s3.bucket, prefix=s3.prefix)
    assert listed.uploads == []


def test_an_abandoned_upload_is_aborted_once_it_is_old(s3: S3Place) -> None:
    client = client_of(s3)
    client._create_multipart_upload(s3.bucket, f"{s3.prefix}/a/abandoned", {})
    store = s3.store()
    assert store.abort_unfinished(older_than_seconds=3600.0) == 0
    time.sleep(1.1)  # the server tells whole seconds
    assert store.abort_unfinished(older_than_seconds=0.0, prefix="b/") == 0
    assert store.abort_unfinished(older_than_seconds=0.0, prefix="a/") == 1
    assert client._list_multipart_uploads(s3.bucket, prefix=s3.prefix).uploads == []
    assert store.abort_unfinished(older_than_seconds=0.0) == 0


def test_the_prefix_of_another_store_is_not_seen(s3: S3Place, s3_process: S3Process) -> None:
    other = s3_process.place().store()
    s3.store().put("a", b"x")
    assert other.list("") == []
    assert not other.exists("a")


def test_a_server_that_was_killed_and_came_back_has_what_was_stored(tmp_path: Path) -> None:
    with S3Process(tmp_path) as process:
        store = process.place().store()
        stored = store.put("a", b"x" * 100_000)
        once = store.create("once", b"first")
        process.kill()
        with pytest.raises(StoreUnavailable):
            store.get("a")
        process.start()
        assert get_verified(store, "a", size=stored.size, sha256=stored.sha256) == b"x" * 100_000
        assert get_verified(store, "once", size=once.size, sha256=once.sha256) == b"first"


@pytest.mark.parametrize("verb", ["put", "create", "get", "exists", "size", "list", "sizes", "delete"])
def test_a_server_that_accepts_and_says_nothing_is_noticed_soon(s3: S3Place, verb: str) -> None:
    with Proxy(s3.endpoint.removeprefix("http://")) as proxy:
        store = store_behind(proxy, s3, answer_seconds=0.5, idle_seconds=60.0)
        store.put("a", b"x")
        proxy.set(Weather(half_open=True))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            getattr(store, verb)(*(["b", b"x"] if verb in ("put", "create") else ["a"]))
        assert time.monotonic() - began < 5.0
        proxy.set(FAIR)
        assert verb == "delete" or store.get("a") == b"x"


def test_a_large_object_may_be_slow_as_long_as_something_moves(s3: S3Place) -> None:
    data = bytes(12 * SMALL_BYTES)
    with Proxy(s3.endpoint.removeprefix("http://")) as proxy:
        store = store_behind(proxy, s3, answer_seconds=0.5, idle_seconds=10.0)
        proxy.set(Weather(bytes_per_second=2e6))
        for transfer in (lambda: store.put("a", data), lambda: store.create("b", data), lambda: store.get("a")):
            began = time.monotonic()
            transfer()
            assert time.monotonic() - began > 1.0, "too fast to show anything"


@pytest.mark.parametrize("verb", ["put", "get"])
def test_a_large_object_that_stands_still_is_given_up(s3: S3Place, verb: str) -> None:
    data = bytes(32 * SMALL_BYTES)
    with Proxy(s3.endpoint.removeprefix("http://")) as proxy:
        store = store_behind(proxy, s3, answer_seconds=60.0, idle_seconds=1.0)
        s3.store().put("a", data)
        proxy.set(Weather(bytes_per_second=2e6))
        threading.Timer(1.0, proxy.set, [Weather(half_open=True)]).start()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.get("a") if verb == "get" else store.put("b", data)
        assert time.monotonic() - began < 10.0


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://key:secret@127.0.0.1:1", "http://h:1/path"]
)
def test_an_endpoint_of_another_form_is_refused_without_showing_it(endpoint: str) -> None:
    with pytest.raises(InputError) as refused:
        S3Store(endpoint=endpoint, bucket="bbb", prefix="", access_key="k" * 8, secret_key="s" * 8)
    assert "secret@" not in str(refused.value)

"""Which addresses open which store, and what is said about the others."""

from pathlib import Path

import pytest

from graphbed.errors import InputError
from graphbed.storage.address import open_store
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.s3 import S3Store

KEYS = {
    "GRAPHBED_S3_ENDPOINT": "http://127.0.0.1:9000",
    "GRAPHBED_S3_ACCESS_KEY": "the-access-key",
    "GRAPHBED_S3_SECRET_KEY": "the-secret-key",
}


def test_a_path_and_a_file_url_open_a_directory(tmp_path: Path) -> None:
    for url in (str(tmp_path / "a b"), f"file://{tmp_path}/a%20b"):
        store = open_store(url, {})
        assert isinstance(store, DirectoryStore)
        assert store.address == str(tmp_path / "a b")


def test_a_relative_path_is_told_as_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("runs/store", {}).address == str(tmp_path / "runs/store")


def test_an_s3_url_tells_where_it_is_without_its_keys() -> None:
    store = open_store("s3://bucket/some/prefix/", KEYS)
    assert isinstance(store, S3Store)
    assert store.address == "http://127.0.0.1:9000/bucket/some/prefix"
    assert open_store("s3://bucket", KEYS).address == "http://127.0.0.1:9000/bucket"


@pytest.mark.parametrize("missing", list(KEYS))
def test_a_missing_variable_is_named(missing: str) -> None:
    environ = {name: value for name, value in KEYS.items() if name != missing}
    with pytest.raises(InputError, match=missing):
        open_store("s3://bucket/prefix", environ)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    environ = {**KEYS, "GRAPHBED_S3_SECRET_KEY_FILE": str(tmp_path / "none")}
    with pytest.raises(InputError, match=r"GRAPHBED_S3_SECRET_KEY_FILE.*none"):
        open_store("s3://bucket", environ)
    (tmp_path / "none").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        open_store("s3://bucket", environ)


@pytest.mark.parametrize(
    "url", ["", "http://host/x", "gs://bucket/x", "file://relative", "s3://", "s3:///prefix", "s3://B_/x"]
)
def test_other_addresses_are_refused_in_one_line(url: str) -> None:
    with pytest.raises(InputError) as refused:
        open_store(url, KEYS)
    assert "\n" not in str(refused.value)


def test_keys_in_the_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InputError) as refused:
        open_store("s3://access:hunter2@bucket/prefix", KEYS)
    assert "hunter2" not in str(refused.value)

"""Reading text: any column order, any compression, and errors that name the line."""

import gzip
import lzma
from pathlib import Path

import pytest

from graphbed.errors import InputError
from graphbed.ingest.text import RawEdges, read_text

PLAIN = ("lhs", "relation", "rhs")
WEIGHTED = ("lhs", "relation", "rhs", "weight")


def read(tmp_path: Path, content: bytes, columns=PLAIN, relations=None, name: str = "edges.tsv") -> RawEdges:
    (tmp_path / name).write_bytes(content)
    return read_text(tmp_path / name, columns, relations=relations)


def refusal(tmp_path: Path, content: bytes, columns=PLAIN, relations=None, name: str = "edges.tsv") -> str:
    with pytest.raises(InputError) as refused:
        read(tmp_path, content, columns, relations, name)
    message = str(refused.value)
    assert "\n" not in message and str(tmp_path / name) in message
    return message.removeprefix(str(tmp_path / name))


def test_columns_may_stand_in_any_order_and_some_may_be_skipped(tmp_path: Path):
    edges = read(tmp_path, b"0.5\tx\tb\ta\tlikes\n2\ty\td\tc\thates\n", ("weight", "-", "rhs", "lhs", "relation"))
    assert edges.lhs.to_pylist() == ["a", "c"]
    assert edges.relation.to_pylist() == ["likes", "hates"]
    assert edges.rhs.to_pylist() == ["b", "d"]
    assert edges.weight.tolist() == [0.5, 2.0]


@pytest.mark.parametrize(("name", "pack"), [("e.tsv", bytes), ("e.tsv.gz", gzip.compress), ("e.tsv.xz", lzma.compress)])
def test_plain_gzip_and_xz_hold_the_same_edges(tmp_path: Path, name: str, pack):
    edges = read(tmp_path, pack("ä\tr\tß\n".encode()), name=name)
    assert edges.lhs.to_pylist() == ["ä"] and edges.rhs.to_pylist() == ["ß"]


def test_names_that_look_like_numbers_nulls_or_quotes_stay_as_they_are(tmp_path: Path):
    edges = read(tmp_path, b'007\tr\tNA\n"a"b\tr\t nan \nnull\tr\t1e5\n')
    assert edges.lhs.to_pylist() == ["007", '"a"b', "null"]
    assert edges.rhs.to_pylist() == ["NA", " nan ", "1e5"]


def test_line_ends_of_windows_a_byte_order_mark_and_empty_lines_do_not_matter(tmp_path: Path):
    edges = read(tmp_path, b"\xef\xbb\xbfa\tr\tb\r\n\r\nc\tr\td")
    assert edges.lhs.to_pylist() == ["a", "c"] and edges.rhs.to_pylist() == ["b", "d"]


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere.tsv does not exist"):
        read_text(tmp_path / "nowhere.tsv", PLAIN, relations=None)


def test_a_folder_is_not_read(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_text(tmp_path, PLAIN, relations=None)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_edges_is_refused(tmp_path: Path, content: bytes):
    assert refusal(tmp_path, content) == " has no edges."


def test_a_truncated_archive_is_refused(tmp_path: Path):
    packed = gzip.compress(b"a\tr\tb\n" * 10_000)
    assert " cannot be read: " in refusal(tmp_path, packed[: len(packed) // 2], name="e.tsv.gz")
    assert " cannot be read: " in refusal(tmp_path, b"not an archive", name="e.tsv.xz")


def test_a_line_with_too_few_columns_is_named(tmp_path: Path):
    message = refusal(tmp_path, b"a\tr\tb\n\nc\tr\n")
    assert message == ":3: 2 columns, but `columns` names 3: lhs, relation, rhs"


def test_a_line_with_too_many_columns_is_named_far_down_a_file(tmp_path: Path):
    message = refusal(tmp_path, b"a\tr\tb\n" * 200_000 + b"a\tr\tb\tc\n")
    assert message.startswith(":200001: 4 columns")


@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        ("nan", "is not a number"),
        ("-0.5", "is negative"),
        ("heavy", "is not a number"),
        ("", "is not a number"),
        ("inf", "is too large for 32 bits"),
        ("1e39", "is too large for 32 bits"),
    ],
)
def test_a_bad_weight_is_named_with_its_line(tmp_path: Path, weight: str, problem: str):
    message = refusal(tmp_path, f"a\tr\tb\t1\na\tr\tb\t{weight}\n".encode(), WEIGHTED)
    assert message == f":2: the weight {weight!r} {problem}"


def test_fractional_weights_are_kept_as_they_are(tmp_path: Path):
    assert read(tmp_path, b"a\tr\tb\t0.25\na\tr\tb\t0\n", WEIGHTED).weight.tolist() == [0.25, 0.0]


def test_an_unknown_relation_is_named_with_its_line(tmp_path: Path):
    message = refusal(tmp_path, b"a\tr\tb\na\tq\tb\n", relations={"r"})
    assert message.startswith(":2: the relation 'q' is not in the configuration")


@pytest.mark.parametrize(("line", "column"), [(b"\tr\tb", "lhs"), (b"a\t\tb", "relation"), (b"a\tr\t", "rhs")])
def test_an_empty_name_is_refused(tmp_path: Path, line: bytes, column: str):
    assert refusal(tmp_path, b"a\tr\tb\n" + line + b"\n") == f":2: the {column} is empty"


def test_text_that_is_not_utf8_is_refused(tmp_path: Path):
    assert refusal(tmp_path, b"a\tr\tb\n\xff\xfe\tr\tb\n") == ":2: the line is not UTF-8 text"


def test_the_first_bad_line_is_the_one_that_is_named(tmp_path: Path):
    assert refusal(tmp_path, b"a\tr\tb\n\tr\tb\na\tr\n").startswith(":2:")

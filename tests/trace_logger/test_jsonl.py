from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from trace_logger.errors import PairFileError
from trace_logger.jsonl import export_pairs, read_pairs
from trace_logger.records import RepairPair

ODD = 'é😀 \u2028\u2029\u0085\x0b\x0c\x1c\x00\ufeff \\n \n\r\n\t "quoted" </script> \ud83d'


def pair(number: int = 0, **changes: str) -> RepairPair:
    fields = {"code": f"def f{number}(): ...", "failed_test": "bad", "failure_log": "f: got 1", "fixed_test": "good"}
    return RepairPair.model_validate({"trace_id": "", "unit": "", **fields, **changes})


def test_odd_text_comes_back_as_it_went(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    pairs = [pair(code=ODD), pair(failed_test=ODD, fixed_test=ODD * 2), pair(failure_log=""), pair(failure_log=ODD)]
    assert export_pairs(pairs, out) == 4
    assert read_pairs(out) == pairs
    content = out.read_bytes()
    assert content.count(b"\n") == 4
    assert "é😀 \u2028".encode() in content  # as it is, not \\u-escaped
    assert list(json.loads(content.split(b"\n")[0])) == ["code", "failed_test", "failure_log", "fixed_test"]
    content.decode("utf-8")


def test_a_stream_gets_the_same_bytes_whatever_its_encoding(tmp_path: Path) -> None:
    pairs = [pair(code=ODD), pair(1)]
    export_pairs(pairs, tmp_path / "pairs.jsonl")
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline="\r\n")
    text = io.StringIO(newline="")
    assert export_pairs(pairs, latin) == export_pairs(pairs, text) == 2
    assert isinstance(latin.buffer, io.BytesIO)
    assert latin.buffer.getvalue() == text.getvalue().encode() == (tmp_path / "pairs.jsonl").read_bytes()


def test_no_out_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert export_pairs([pair()]) == 1
    assert json.loads(capfdbinary.readouterr().out) == pair().row()


def test_nothing_is_overwritten_without_a_word(tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    out.write_text("precious", encoding="utf-8")
    with pytest.raises(PairFileError, match=r"exists\.(?s:.*)--force"):
        export_pairs([pair()], out)
    assert out.read_text(encoding="utf-8") == "precious"
    assert export_pairs([pair()], out, force=True) == 1
    assert read_pairs(out) == [pair()]
    assert list(tmp_path.iterdir()) == [out]


def test_a_failure_halfway_leaves_no_trace(tmp_path: Path) -> None:
    def broken() -> Iterator[RepairPair]:
        yield pair()
        raise RuntimeError("the store went away")

    out = tmp_path / "pairs.jsonl"
    out.write_text("precious", encoding="utf-8")
    with pytest.raises(RuntimeError):
        export_pairs(broken(), out, force=True)
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text(encoding="utf-8") == "precious"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    link.symlink_to(real)
    export_pairs([pair()], link)
    assert link.is_symlink()
    assert read_pairs(real) == [pair()]


@pytest.mark.parametrize(
    ("place", "why"), [(".", "not a regular file"), ("no/such/x.jsonl", "no folder"), ("x" * 300, "cannot be written")]
)
def test_places_that_cannot_be_written(tmp_path: Path, place: str, why: str) -> None:
    with pytest.raises(PairFileError, match=why):
        export_pairs([pair()], tmp_path / place, force=True)
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(PairFileError, match="not a regular file"):
        export_pairs([pair()], "/dev/null", force=True)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not an object but a JSON list"),
        (b"null", "not an object"),
        (b'{"code": "x", "failed_test": "x"}', "no failure_log, fixed_test"),
        (b'{"code": 1, "failed_test": "x", "failure_log": "", "fixed_test": "x"}', "code is not a string"),
        (b'{"code": "x", "failed_test": " ", "failure_log": "", "fixed_test": "x"}', "failed_test is blank"),
        (b'{"code": "x", "failed_test": "x", "failure_log": "", "fixed_test": "x", "a": 1}', "unknown column 'a'"),
        (b'{"code": "\xff"}', "not UTF-8 at byte 11"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: bytes, fault: str) -> None:
    path = tmp_path / "pairs.jsonl"
    good = json.dumps(pair().row()).encode()
    path.write_bytes(b"\n".join([good, b"", good, line, good, line, b""]))
    with pytest.raises(PairFileError, match="2 bad row") as error:
        read_pairs(path)
    assert f"line 4: {fault}" in error.value.hint
    assert f"line 6: {fault}" in error.value.hint


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("{}\n" * 30, encoding="utf-8")
    with pytest.raises(PairFileError, match=r"30 bad row(?s:.*)line 20: (?s:.*)and 10 more"):
        read_pairs(path)


def test_other_peoples_habits(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    row = json.dumps(pair().row()).encode()
    path.write_bytes(b"\xef\xbb\xbf" + row + b"\r\n\r\n" + row)
    assert read_pairs(path) == [pair(), pair()]
    with pytest.raises(PairFileError, match="cannot be read"):
        read_pairs(tmp_path / "none.jsonl")

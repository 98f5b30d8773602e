"""Curation with a scripted verifier: order, caps, the split, and what a killed curation knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trace_logger.curation.curate import Candidate, Rules, curate, memory_of, write
from trace_logger.errors import NothingLeft
from trace_logger.records import CodeUnderTest, RepairPair, Verified


class Scripted:
    """Takes every first file for failing and every second for accepted, and counts how often it is asked."""

    def __init__(self, until: int | None = None) -> None:
        self.asked = 0
        self.until = until

    def verify(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Verified:
        self.asked += 1
        if self.until is not None and self.asked > self.until:
            raise KeyboardInterrupt
        return Verified(passed=failed is not None, accepted=failed is not None)


def pair(module: str, unit: str, number: int) -> Candidate:
    body = f"def {unit}(x):\n    return {' + '.join(f'x ** {n + number}' for n in range(6))}\n"
    code = CodeUnderTest(source=body, shown=body, module=module, unit=unit, root="", interpreter="python")
    failed = "\n".join(f"def test_{unit}_{n}():\n    assert {unit}({n}) == {n * number + 1}\n" for n in range(12))
    return Candidate(
        RepairPair(
            trace_id=f"t{number}",
            unit=unit,
            code=body,
            failed_test=failed,
            failure_log="",
            fixed_test=failed.replace("==", "!="),
        ),
        code,
        "/project",
    )


def many(modules: int) -> list[Candidate]:
    return [pair(f"m{n}", f"f{n}", n) for n in range(modules)]


def test_modules_are_on_one_side_and_keep_it_when_more_come() -> None:
    few = curate(many(20), Scripted())
    more = curate(many(40), Scripted())
    assert len(few.train) + len(few.dev) == 20
    assert few.dev
    assert {p.trace_id for p in few.dev} <= {p.trace_id for p in more.dev}
    other = curate(many(40), Scripted(), Rules(seed=1))
    assert {p.trace_id for p in other.dev} != {p.trace_id for p in more.dev}


def test_two_modules_are_one_each_and_of_one_the_units_are_divided() -> None:
    assert [len(side) for side in (curate(many(2), Scripted()).train, curate(many(2), Scripted()).dev)] == [1, 1]
    alone = curate(many(1), Scripted())
    assert (len(alone.train), len(alone.dev)) == (1, 0)
    units = curate([pair("m", f"f{n}", n) for n in range(6)], Scripted())
    assert (len(units.train) + len(units.dev), bool(units.dev)) == (6, True)


def test_a_unit_gives_no_more_than_its_cap_and_near_ones_count_once() -> None:
    first = pair("m", "f", 1)
    others = []
    for number in range(2, 9):
        tests = "\n".join(
            f"def test_{number}_{n}():\n    assert f({n * number}) == {n + number} * {number}\n" for n in range(5)
        )
        others.append(
            Candidate(
                first.pair.model_copy(
                    update={"failed_test": tests, "fixed_test": tests + f"# {number}\nx = {number}\n"}
                ),
                first.code,
                "/p",
            )
        )
    nearly = Candidate(
        first.pair.model_copy(update={"failed_test": first.pair.failed_test + "\n\nx\n"}), first.code, "/p"
    )
    found = curate([first, nearly, *others], Scripted(), Rules(per_unit=3))
    assert found.manifest["dropped"] == {"beyond the cap for one unit": 5, "near duplicate": 1}
    assert found.manifest["kept"] == 3


def test_one_that_was_stopped_goes_on_without_running_again_what_it_knows(tmp_path: Path) -> None:
    memory = memory_of(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        curate(many(6), Scripted(until=7), memory=memory)
    assert len(memory.read_text().splitlines()) == 7
    memory.write_text(memory.read_text() + '{"key": "torn')
    rest = Scripted()
    again = curate(many(6), rest, memory=memory)
    assert rest.asked == 5
    write(again, tmp_path / "out")
    write(curate(many(6), Scripted()), tmp_path / "whole")
    for name in ("train.jsonl", "dev.jsonl", "manifest.json", "dropped.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not memory.exists()


def test_nothing_left_counts_its_reasons() -> None:
    measured = [Candidate(each.pair, each.code, "/p", measured=True) for each in many(3)]
    with pytest.raises(NothingLeft, match=r"no pair is left of 3: made while a model was measured \(3\)"):
        curate(measured, Scripted())


def test_the_manifest_says_what_the_files_are(tmp_path: Path) -> None:
    write(curate(many(5), Scripted()), tmp_path)
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert (told["pairs"], told["kept"], told["train"] + told["dev"]) == (5, 5, 5)
    assert set(told["sha256"]) == {"train.jsonl", "dev.jsonl"}

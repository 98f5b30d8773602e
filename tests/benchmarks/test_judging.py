"""People judge answers: what is kept, how far they agree, what the judge model's estimate is worth, and whom the page refuses."""

import http.client
import json
import os
import random
import re
import signal
import sys
import threading
import urllib.request
from collections import Counter
from pathlib import Path

import children
import pytest

from benchmarks.judging.agreement import cohen_kappa, report
from benchmarks.judging.estimate import calibrated
from benchmarks.judging.page import Page
from benchmarks.judging.verdicts import Verdict, Verdicts, consensus, export, read_items
from self_improve.cli.judge import agreement
from testing_crew.errors import UserMistake

R, W, U = "right", "wrong", "unsure"


def answers(tmp_path, n=4, **more):
    file = tmp_path / "answers.jsonl"
    rows = [
        {"id": f"q{i}", "question": f"Question {i}?", "answer": f"Answer {i}", "model": "secret", **more}
        for i in range(n)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def judged(tmp_path, **said):
    """Items and the verdicts of each judge on them, by position; None for one that was not judged."""
    file = answers(tmp_path, max(map(len, said.values())))
    items, verdicts = read_items(file), Verdicts.beside(file)
    for judge, given in said.items():
        for item, verdict in zip(items, given, strict=False):
            if verdict:
                verdicts.add(Verdict(item=item.digest, judge=judge, verdict=verdict))
    return items, verdicts


# Items


def test_items_are_read_and_what_is_judged_makes_the_digest(tmp_path):
    items = read_items(answers(tmp_path, references=["people say"]))
    assert [item.id for item in items] == ["q0", "q1", "q2", "q3"]
    assert items[0].references == ("people say",)
    assert re.fullmatch("[0-9a-f]{12}", items[0].digest)
    assert items[0].digest == items[0].model_copy(update={"model": "other", "references": ()}).digest
    assert len({items[0].model_copy(update={key: "x"}).digest for key in ("id", "question", "body", "answer")}) == 4


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("{", "not JSON"),
        ('{"id": "b", "question": "?"}', "answer: Field required"),
        ('{"id": "b", "question": " ", "answer": "x"}', "question"),
        ('{"id": "b", "question": "?", "answer": "x", "score": 1}', "score"),
        ('{"id": "b", "question": "?", "answer": 1}', "answer"),
        ("[]", "dictionary"),
        ("[" * 100_000, "not JSON"),
        ('{"id": "a", "question": "?", "answer": "y", "model": "m"}', "a by m is in line 1"),
    ],
)
def test_a_line_that_is_no_item_is_named(tmp_path, second, why):
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "a", "question": "?", "answer": "x", "model": "m"}\n\n' + second + "\n")
    with pytest.raises(UserMistake, match=rf"a\.jsonl, line 3: .*{re.escape(why)}"):
        read_items(file)


def test_files_without_items_are_refused(tmp_path):
    file = tmp_path / "a.jsonl"
    with pytest.raises(UserMistake, match="cannot be read"):
        read_items(file)
    file.write_text("\n")
    with pytest.raises(UserMistake, match=r"a\.jsonl has no answers"):
        read_items(file)
    file.write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(UserMistake, match="line 1: not JSON"):
        read_items(file)


def test_half_a_surrogate_pair_in_an_answer_is_no_obstacle(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "a", "question": "?", "answer": "cut \\ud83d"}\n')
    (item,) = read_items(file)
    assert item.answer == "cut \ufffd"
    assert len(item.digest) == 12


# Verdicts


def test_a_verdict_can_be_changed_and_names_are_compared_without_case_and_blanks(tmp_path):
    items, verdicts = judged(tmp_path, Ada=[R, W])
    verdicts.add(Verdict(item=items[0].digest, judge=" ADA ", verdict=U, note="after all"))
    again = Verdicts.beside(tmp_path / "answers.jsonl")
    assert list(again.by_judge()) == ["Ada"]
    assert [again.of("ada")[item.digest].verdict for item in items] == [U, W]
    assert again.of("Ada")[items[0].digest].note == "after all"
    assert again.of("Bob") == {}
    assert len((tmp_path / "answers.verdicts.jsonl").read_text().splitlines()) == 3


def test_a_blank_name_is_refused(tmp_path):
    with pytest.raises(UserMistake, match="needs a name"):
        Verdict(item="x", judge=" \t", verdict=R)
    with pytest.raises(UserMistake, match="needs a name"):
        Page(read_items(answers(tmp_path)), Verdicts.beside(tmp_path / "answers.jsonl"), "  ")


def test_half_a_line_is_cut_off_on_opening(tmp_path):
    _, verdicts = judged(tmp_path, Ada=[R, W])
    whole = verdicts.file.read_bytes()
    for half in (b'{"item": "x', b"{", b'{"item": "x", "judge": "Ada"}', b"\xc3"):
        verdicts.file.write_bytes(whole + half)
        assert len(Verdicts(verdicts.file).all()) == 2
        assert verdicts.file.read_bytes() == whole


def test_half_a_line_of_another_process_is_not_glued_to_a_new_one(tmp_path):
    items, verdicts = judged(tmp_path, Ada=[R])
    with verdicts.file.open("ab") as file:
        file.write(b'{"item": "x", "jud')
    assert len(verdicts.all()) == 1
    verdicts.add(Verdict(item=items[0].digest, judge="Bob", verdict=W))
    assert [verdict.judge for verdict in verdicts.all()] == ["Ada", "Bob"]


def test_a_whole_verdict_that_only_lacks_its_line_feed_is_kept(tmp_path):
    _, verdicts = judged(tmp_path, Ada=[R, W])
    whole = verdicts.file.read_bytes()
    verdicts.file.write_bytes(whole[:-1])
    assert len(Verdicts(verdicts.file).all()) == 2
    assert verdicts.file.read_bytes() == whole


def test_a_damaged_line_amid_others_is_named_and_left(tmp_path):
    _, verdicts = judged(tmp_path, Ada=[R, W])
    lines = verdicts.file.read_text().splitlines(keepends=True)
    verdicts.file.write_text(lines[0] + '{"item": "x", "judge": " ", "verdict": "right"}\n' + lines[1])
    before = verdicts.file.read_bytes()
    with pytest.raises(UserMistake, match=r"verdicts\.jsonl, line 2: a judge needs a name"):
        Verdicts(verdicts.file).all()
    assert verdicts.file.read_bytes() == before


ADDS = """
import sys
from pathlib import Path
from benchmarks.judging.verdicts import Verdict, Verdicts
verdicts = Verdicts(Path(sys.argv[1]))
for n in range(100):
    verdicts.add(Verdict(item=f"{n:012}", judge=sys.argv[2], verdict="right", note="long " * 50))
"""


def test_two_processes_and_many_threads_add_at_the_same_time(tmp_path):
    file = tmp_path / "v.jsonl"
    verdicts = Verdicts(file)

    def add(judge):
        for n in range(50):
            verdicts.add(Verdict(item=f"{n:012}", judge=judge, verdict=W))

    threads = [threading.Thread(target=add, args=(f"thread {n}",)) for n in range(4)]
    command = [sys.executable, "-c", ADDS, str(file)]
    with children.started([*command, "Ada"]) as one, children.started([*command, "Bob"]) as other:
        for thread in threads:
            thread.start()
        children.ended(one)
        children.ended(other)
        for thread in threads:
            thread.join()
    counts = Counter(verdict.judge for verdict in verdicts.all())
    assert counts == {"Ada": 100, "Bob": 100, **{f"thread {n}": 50 for n in range(4)}}


FILLS = """
import resource, signal, sys
from pathlib import Path
from benchmarks.judging.verdicts import Verdict, Verdicts
verdicts = Verdicts(Path(sys.argv[1]))
size = verdicts.file.stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
verdicts.add(Verdict(item="x", judge="Ada", verdict="wrong"))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
def test_a_verdict_for_which_there_is_no_room_is_refused_whole(tmp_path):
    _, verdicts = judged(tmp_path, Ada=[R])
    before = verdicts.file.read_bytes()
    done = children.run([sys.executable, "-c", FILLS, str(verdicts.file)])
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert verdicts.file.read_bytes() == before


def test_every_verdict_is_exported(tmp_path):
    items, verdicts = judged(tmp_path, Ada=[R, R, U], Bob=[R, W, None])
    rows = export(items, verdicts)
    assert [row["verdicts"] for row in rows] == [{"Ada": R, "Bob": R}, {"Ada": R, "Bob": W}, {"Ada": U}]
    assert [row["consensus"] for row in rows] == [R, None, None]
    assert rows[0].items() >= {"id": "q0", "model": "secret", "digest": items[0].digest, "answer": "Answer 0"}.items()


# Agreement


def test_kappa_is_the_published_one():
    # The well-known example of 50 grant proposals: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no.
    a, b = [R] * 25 + [W] * 25, [R] * 20 + [W] * 5 + [R] * 10 + [W] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)
    assert cohen_kappa(b, a) == pytest.approx(0.4)


def test_kappa_by_hand():
    # 4 of 6 alike; by chance (3·2 + 2·3 + 1·1) / 36 = 13/36; (24 - 13) / (36 - 13).
    assert cohen_kappa([R, R, R, W, W, U], [R, R, W, W, W, U]) == pytest.approx((30 - 13) / (36 - 13))
    assert cohen_kappa([R, R, R, W, W, U], [R, W, W, W, R, U]) == pytest.approx((18 - 13) / (36 - 13))
    assert cohen_kappa([R, W], [R, W]) == 1.0
    assert cohen_kappa([R, W], [W, R]) == -1.0
    assert cohen_kappa([R, R], [W, W]) == 0.0


def test_kappa_is_undefined_where_chance_explains_all():
    assert cohen_kappa([R, R, R], [R, R, R]) is None
    assert cohen_kappa([], []) is None
    with pytest.raises(ValueError):
        cohen_kappa([R], [R, W])


def test_a_consensus_is_more_than_half_of_two_at_least():
    assert [consensus(said) for said in ([R, R], [W, W], [R, R, W], [W, W, U], [R, W, U, W])] == [R, W, R, W, W]
    assert [consensus(said) for said in ([], [R], [R, W], [R, U], [U, U], [R, W, R, W])] == [None] * 6


def test_the_report_by_hand(tmp_path):
    items, verdicts = judged(
        tmp_path,
        #    right, right, disputed, disputed, wrong, by one alone, by nobody
        Ada=[R, R, R, R, W, R, None],
        Bob=[R, R, W, U, W, None, None],
        Cem=[None, W, None, None, None, None, None],
    )
    verdicts.add(Verdict(item="0" * 12, judge="Ada", verdict=R))  # an answer that has changed since
    found = report(items, verdicts)
    assert found.judges == ("Ada", "Bob", "Cem")
    assert (found.n, found.judged, found.judged_by_two, found.stale) == (7, {"Ada": 6, "Bob": 5, "Cem": 1}, 5, 1)
    assert found.agreement == 2 / 5
    assert (found.accuracy.value, found.accuracy.n, found.disputed) == (2 / 3, 3, 2)
    assert (found.at_least, found.at_most) == (2 / 5, 4 / 5)
    assert {judge: (score.value, score.n) for judge, score in found.by_judge.items()} == {
        "Ada": (5 / 6, 6),
        "Bob": (2 / 4, 4),
        "Cem": (0, 1),
    }
    first = found.pairs[0]
    assert (first.one, first.other, first.n, first.agreement) == ("Ada", "Bob", 5, 3 / 5)
    assert first.kappa == pytest.approx((15 - 10) / (25 - 10))
    assert [(pair.one, pair.other, pair.n, pair.kappa) for pair in found.pairs[1:]] == [
        ("Ada", "Cem", 1, 0.0),
        ("Bob", "Cem", 1, 0.0),
    ]
    assert found.models == {}


def test_each_model_has_its_accuracy_and_the_same_answer_is_judged_once(tmp_path):
    file = tmp_path / "answers.jsonl"
    rows = [
        {"id": i, "question": "?", "answer": "both" if i == "a" else model, "model": model}
        for model in ("m1", "m2")
        for i in "ab"
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items, verdicts = read_items(file), Verdicts.beside(file)
    right = {items[0].digest, items[1].digest}
    for judge in ("Ada", "Bob"):
        with Page(items, verdicts, judge) as page:
            assert len(page.items) == 3
        for digest in page.items:
            verdicts.add(Verdict(item=digest, judge=judge, verdict=R if digest in right else W))
    found = report(items, verdicts)
    assert (found.n, found.accuracy.value) == (3, 2 / 3)
    assert {model: (each.accuracy.value, each.n) for model, each in found.models.items()} == {
        "m1": (1.0, 2),
        "m2": (0.5, 2),
    }


def test_nothing_judged_says_nothing(tmp_path):
    file = answers(tmp_path)
    found = report(read_items(file), Verdicts.beside(file))
    assert (found.judges, found.pairs, found.agreement, found.accuracy.n) == ((), (), None, 0)
    assert (found.at_least, found.at_most) == (0.0, 1.0)
    assert not (tmp_path / "answers.verdicts.jsonl").exists()


# The estimate


def simulated(chance, n, m, share, se, sp):
    truth = [chance.random() < share for _ in range(n)]
    says = [chance.random() < (se if right else 1 - sp) for right in truth]
    return says, list(zip(says, truth, strict=True))[:m]


def test_the_estimate_by_hand():
    on_humans = [(True, True)] * 4 + [(False, True)] + [(True, False)] * 2 + [(False, False)] * 3
    found = calibrated([True] * 6 + [False] * 4, on_humans)  # (0.6 + 0.6 - 1) / (0.8 + 0.6 - 1)
    assert found.value == pytest.approx(0.5)
    assert (found.sensitivity, found.specificity) == (0.8, pytest.approx(0.6))
    assert (found.n, found.n_calibrated, found.calibrated) == (10, 10, True)
    assert found.says.startswith("about 50.0% of 10 answers are right")
    assert found == calibrated([True] * 6 + [False] * 4, on_humans)
    assert calibrated([True] * 10, on_humans).value == 1.0
    assert calibrated([False] * 10, on_humans).value == 0.0


def test_a_lenient_judge_model_is_corrected():
    says, pairs = simulated(random.Random(1), 4000, 600, 0.5, 0.95, 0.6)
    found = calibrated(says, pairs)
    assert sum(says) / len(says) > 0.65
    assert found.value == pytest.approx(0.5, abs=0.07)
    assert found.low < 0.5 < found.high < 0.65


def test_the_interval_covers_the_truth():
    hits = 0
    for seed in range(40):
        found = calibrated(*simulated(random.Random(seed), 120, 40, 0.6, 0.9, 0.8))
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.6 <= found.high
    assert hits >= 35


@pytest.mark.parametrize(
    ("says", "on_humans", "why"),
    [
        ([], [], "has judged no answer"),
        ([], [(True, True), (False, False)], "has judged no answer"),
        ([True], [], "people have judged no answer"),
        ([True], [(True, False)], "none of the answers right"),
        ([True], [(True, True)], "none of the answers wrong"),
        ([True, False], [(True, True), (True, False)], "no better than chance"),
        ([True, False], [(False, True), (True, False)], "no better than chance"),
    ],
)
def test_what_cannot_be_calibrated_says_why(says, on_humans, why):
    found = calibrated(says, on_humans)
    assert (found.value, found.calibrated, found.low, found.high) == (None, False, 0.0, 1.0)
    assert found.says.startswith("not calibrated: ")
    assert why in found.says


# The page over HTTP


@pytest.fixture
def page(tmp_path):
    file = answers(tmp_path, references=["as people say"])
    with Page(read_items(file), Verdicts.beside(file), "Ada") as page:
        yield page


def asked(page, method="GET", place="", body=None, path=None, **headers):
    """The status, the headers and the text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    sent = {"Content-Type": "application/json"} if body is not None else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/{page.token}/{place}" if path is None else path, body, sent)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def told(page, item, verdict=R, **more):
    return asked(page, "POST", "verdict", json.dumps({"item": item, "verdict": verdict, **more}))


def test_the_page_needs_nothing_from_elsewhere_and_says_no_model(page):
    with urllib.request.urlopen(page.url, timeout=30) as answer:
        html, headers = answer.read().decode(), answer.headers
    policy = headers["Content-Security-Policy"]
    nonce = re.search("script-src 'nonce-([^']+)'", policy)[1]
    assert "default-src 'none'" in policy
    assert f'<script nonce="{nonce}">' in html
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert not re.search(r"(src|href)=|https?://|url\(|innerHTML", html)
    assert nonce not in asked(page)[2]  # each time another
    assert "secret" not in html + asked(page, place="items")[2]


def test_verdicts_are_kept_and_the_judge_goes_on_where_they_were(page):
    shown = json.loads(asked(page, place="items")[2])
    assert shown["judge"] == "Ada"
    first, second, *_ = (each["item"] for each in shown["items"])
    assert json.loads(told(page, first, W, note="nö")[2]) == {"left": 3}
    assert json.loads(told(page, second, U)[2]) == {"left": 2}
    page.close()
    file = page.verdicts.file.parent / "answers.jsonl"
    with Page(read_items(file), Verdicts.beside(file), "ada ") as again:
        items = json.loads(asked(again, place="items")[2])["items"]
        assert [(each["item"], each["verdict"], each["note"]) for each in items[:2]] == [
            (first, W, "nö"),
            (second, U, ""),
        ]
        assert [each["verdict"] for each in items[2:]] == [None, None]


def test_judges_have_orders_of_their_own_and_do_not_see_each_other(tmp_path):
    file = answers(tmp_path, 12)
    items, verdicts = read_items(file), Verdicts.beside(file)
    ada, bob = Page(items, verdicts, "Ada"), Page(items[::-1], verdicts, "Bob")
    assert list(ada.items) == list(Page(items[::-1], verdicts, "ADA").items)
    assert list(ada.items) != list(bob.items)
    assert set(ada.items) == set(bob.items)
    verdicts.add(Verdict(item=items[0].digest, judge="Ada", verdict=W, note="bad"))
    assert {each["verdict"] for each in bob.shown()["items"]} == {None}
    assert {each["note"] for each in bob.shown()["items"]} == {""}


def test_the_result_comes_at_the_end_and_agreement_with_who_has_finished(page):
    items = list(page.items)
    assert asked(page, place="result")[0] == 409
    for item, verdict in zip(items, (R, R, W, U), strict=True):
        told(page, item, verdict)
    page.verdicts.add(Verdict(item=items[0], judge="Bob", verdict=R))
    found = json.loads(asked(page, place="result")[2])
    assert (found["judged"], found["unsure"], found["others"]) == (4, 1, [])
    assert (found["accuracy"]["value"], found["accuracy"]["n"]) == (2 / 3, 3)
    for item, verdict in zip(items, (R, W, W, U), strict=True):
        page.verdicts.add(Verdict(item=item, judge="Bob", verdict=verdict))
    (pair,) = json.loads(asked(page, place="result")[2])["others"]
    assert (pair["other"], pair["n"], pair["agreement"]) == ("Bob", 4, 0.75)
    assert pair["kappa"] == pytest.approx((12 - 5) / (16 - 5))


def test_who_does_not_know_the_address_is_refused(page):
    item = next(iter(page.items))
    body = json.dumps({"item": item, "verdict": R})
    for path in ("/", "/items", f"/{page.token}", f"/{page.token[:-1]}/", f"/{page.token}x/items", "//", "/%FF/"):
        assert asked(page, path=path)[0] == 404
    for path in ("/verdict", "/wrong/verdict", f"/{page.token}/items"):
        assert asked(page, "POST", path=path, body=body)[0] == 404
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1", f"127.0.0.1:{page.port + 1}", ""):
        assert asked(page, Host=host)[0] == 403
        assert asked(page, "POST", "verdict", body, Host=host)[0] == 403
    assert asked(page, Host=f"localhost:{page.port}")[0] == 200
    assert asked(page, "OPTIONS", "verdict")[0] == 501
    assert page.judged() == 0


def test_what_is_no_verdict_is_refused(page):
    item = next(iter(page.items))
    body = json.dumps({"item": item, "verdict": R})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert asked(page, "POST", "verdict", body, Content_Type=kind)[0] == 415
    assert asked(page, "POST", "verdict", "x" * 70_000)[0] == 413
    assert asked(page, "POST", "verdict", "", Content_Length="9" * 15)[0] == 413
    for length in ("-1", "1e3", "٣".encode(), "0" * 30):
        assert asked(page, "POST", "verdict", "", Content_Length=length)[0] == 411
    for bad in ("", "{", "[]", "[" * 60_000, '"x"', '{"item": 1, "verdict": "right"}', body[:-1] + ', "judge": "Bob"}'):
        assert asked(page, "POST", "verdict", bad)[0] == 400
    assert asked(page, "POST", "verdict", b"\xff")[0] == 400
    assert told(page, item, "maybe")[0] == told(page, "0" * 12)[0] == told(page, item, note="x" * 4001)[0] == 400
    assert not page.verdicts.file.exists()
    status, headers, _ = asked(page, "POST", "verdict", body, Content_Type="application/json; charset=utf-8")
    assert (status, headers["Cache-Control"], page.judged()) == (200, "no-store", 1)


def test_a_verdict_that_cannot_be_kept_is_not_taken_for_kept(page):
    page.verdicts.file.mkdir()
    status, _, said = told(page, next(iter(page.items)))
    assert status == 500
    assert "cannot be" in json.loads(said)["error"]


def test_a_port_that_is_taken_is_said(page, tmp_path):
    with pytest.raises(UserMistake, match=f"port {page.port} of this machine"):
        Page(list(page.items.values()), page.verdicts, "Bob", page.port).start()


def test_a_closed_page_answers_no_connection_that_was_open_already(page):
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
    connection.connect()
    assert asked(page)[0] == 200  # connections are taken in the order they came
    page.close()
    assert connection.sock.recv(1) == b""
    connection.close()
    page.start()
    assert asked(page)[0] == 200


# The commands


def test_the_command_says_the_address_and_that_verdicts_are_kept(tmp_path):
    file = answers(tmp_path, 2)
    call = "import sys; from pathlib import Path; from self_improve.cli.judge import judge; judge(Path(sys.argv[1]), 'Ada', 0, False)"
    command = [sys.executable, "-c", call, str(file)]
    with children.started(command, stderr=-1, stdout=-1) as child:
        assert child.stderr.readline().startswith("Ada has judged 0 of 2 answers")
        url = child.stderr.readline().split()[-1]
        with urllib.request.urlopen(f"{url}items", timeout=30) as answer:
            first = json.load(answer)["items"][0]["item"]
        body = json.dumps({"item": first, "verdict": R}).encode()
        request = urllib.request.Request(f"{url}verdict", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()
        child.send_signal(signal.SIGINT)
        out, said = children.ended(child)
    assert "stopped; Ada has judged 1 of 2 answers, which is kept in" in said
    assert out == ""


def test_agreement_is_said_in_words_and_as_json(tmp_path, capsys):
    judged(tmp_path, Ada=[R, R, W, U], Bob=[R, W, W, U])
    file, out = tmp_path / "answers.jsonl", tmp_path / "rows.jsonl"
    agreement(file, out, force=False, as_json=False)
    said = capsys.readouterr().out
    assert "Ada and Bob: the same verdict on 75.0% of 4; Cohen's kappa 0.64" in said
    assert "accuracy: 50.0% of 2" in said
    assert "2 have no majority: 25.0% if all of them were wrong, 75.0% if right" in said
    assert len(out.read_text().splitlines()) == 4
    with pytest.raises(UserMistake, match="is there already"):
        agreement(file, out, force=False, as_json=True)
    agreement(file, out, force=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["disputed"] == 2


def test_agreement_on_what_nobody_judged_is_refused(tmp_path):
    with pytest.raises(UserMistake, match="nobody has judged"):
        agreement(answers(tmp_path), None, force=False, as_json=False)
    assert [file.name for file in Path(tmp_path).iterdir()] == ["answers.jsonl"]

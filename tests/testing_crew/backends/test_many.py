"""Many prompts at once: the same answers as one after the other, in a steady order, and nothing lost by an error or a stop."""

import threading
import time

import pytest

from testing_crew import prompt
from testing_crew.backends import open_backend
from testing_crew.backends.base import Completion, Sampling
from testing_crew.backends.batch import Sequence_
from testing_crew.backends.many import candidates_of, complete_many
from testing_crew.errors import GenerationFailed, PromptTooLong

FUNCTIONS = ["return x + 1", "return x * y", "return [x, y]", "raise ValueError(x)", "return str(x)", "return x or y", "return y",
             "return max(x, y)", "return {x: y}", "return x == y"]  # fmt: skip
PROMPTS = [prompt.generate(f"# module: m{i}\ndef f{i}(x, y):\n    {body}\n", 1) for i, body in enumerate(FUNCTIONS)]
SHORT = Sampling(max_tokens=60)


@pytest.fixture(scope="module")
def embedded():
    backend = open_backend("embedded")
    yield backend
    backend.close()


def texts(answers):
    return [answer.text for answer in answers]


def test_greedy_answers_of_a_batch_are_those_of_one_after_the_other(embedded):
    alone = [embedded.complete(asked, SHORT) for asked in PROMPTS]
    together = list(complete_many(embedded, [(asked, SHORT) for asked in PROMPTS]))
    assert texts(together) == texts(alone)
    assert [a.prompt_tokens for a in together] == [a.prompt_tokens for a in alone]
    assert [(a.completion_tokens, a.finish) for a in together] == [(a.completion_tokens, a.finish) for a in alone]
    assert texts(complete_many(embedded, [(asked, SHORT) for asked in PROMPTS])) == texts(alone)


def test_many_answers_to_one_prompt_differ_by_their_seeds_and_are_drawn_again_the_same(embedded):
    asks = [(PROMPTS[0], Sampling(temperature=0.9, seed=seed, max_tokens=60)) for seed in range(6)]
    drawn = texts(complete_many(embedded, asks))
    assert drawn == texts(embedded.complete(*ask) for ask in asks)
    assert len(set(drawn)) > 1


def test_stops_and_limits_hold_for_each(embedded):
    asks = [(PROMPTS[0], Sampling(stop=("def ",))), (PROMPTS[1], Sampling(max_tokens=5)), (PROMPTS[2], SHORT)]
    stopped, cut, _ = complete_many(embedded, asks)
    assert "def " not in stopped.text
    assert stopped.finish == "stop"
    assert (cut.completion_tokens, cut.finish) == (5, "length")


def test_a_prompt_that_is_too_long_costs_the_others_nothing(embedded):
    first, long, last = complete_many(embedded, [(PROMPTS[0], SHORT), ("x = 1\n" * 2000, SHORT), (PROMPTS[1], SHORT)])
    assert isinstance(long, PromptTooLong)
    assert texts([first, last]) == texts(embedded.complete(asked, SHORT) for asked in PROMPTS[:2])


def test_who_stops_asking_has_the_model_back_at_once(embedded):
    answers = complete_many(embedded, [(asked, Sampling(max_tokens=400)) for asked in PROMPTS])
    next(answers)
    answers.close()
    began = time.monotonic()
    assert embedded.complete(PROMPTS[0], Sampling(max_tokens=1)).completion_tokens == 1
    assert time.monotonic() - began < 20


def test_a_model_in_this_process_gives_several_candidates_and_a_server_one(embedded):
    assert candidates_of(embedded, 8) == 8
    assert candidates_of(embedded, 3) == 3
    assert candidates_of(Server(), 8) == 1


class Server:
    """Answers each prompt after a moment, and fails at the one that says so."""

    concurrency = 3

    def __init__(self):
        self.at_work = self.most = 0
        self.asked = []
        self._lock = threading.Lock()

    def complete(self, asked, sampling):
        with self._lock:
            self.asked.append(asked)
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        time.sleep(0.3 if asked == "0" else 0.1)
        with self._lock:
            self.at_work -= 1
        if asked == "dead":
            raise GenerationFailed("the server is gone")
        return Completion(text=f"<{asked}>", finish="stop", seconds=0.1)


def test_a_server_is_asked_for_several_side_by_side_and_the_answers_stay_in_order():
    server = Server()
    answers = complete_many(server, [(str(n), SHORT) for n in range(7)])
    assert texts(answers) == [f"<{n}>" for n in range(7)]
    assert server.most == 3


def test_an_error_stands_in_its_place():
    found = list(complete_many(Server(), [("0", SHORT), ("dead", SHORT), ("2", SHORT)]))
    assert [getattr(a, "text", None) for a in found] == ["<0>", None, "<2>"]
    assert isinstance(found[1], GenerationFailed)


def test_after_an_error_no_more_is_asked_and_what_is_there_still_comes():
    server = Server()
    found = list(complete_many(server, [("dead", SHORT), *((str(n), SHORT) for n in range(40))]))
    assert len(found) == 41
    assert isinstance(found[0], GenerationFailed)
    assert len(server.asked) < 12


def test_a_server_is_not_asked_any_further_once_nobody_listens():
    server = Server()
    answers = complete_many(server, [(str(n), SHORT) for n in range(50)])
    next(answers)
    answers.close()
    time.sleep(0.5)
    assert len(server.asked) < 15


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"import pytest\n" + b"0, " * 200, True),
        (b"x" * 500, True),
        (b"    (1, 2, 3),\n" * 30, True),
        (b"    (1, 2, 3),\n" * 20, False),  # not for so long yet
        (b"".join(b"    (%d, %d),\n" % (n, n + 1) for n in range(100)), False),
        (b"0, " * 200 + b"0])\n", False),
        (b"", False),
    ],
)
def test_an_answer_that_goes_round_in_a_loop_is_seen(answer, expected):
    assert Sequence_(0, [1], SHORT, 100, answer=answer).goes_round is expected

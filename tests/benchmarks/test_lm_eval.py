"""Our task run by lm-evaluation-harness itself, against our own run of the same rows.

It needs the harness in an environment of its own, since its 0.4.9 wants transformers < 5 and datasets < 4.5:

    python -m venv lm && lm/bin/pip install 'lm-eval[api]==0.4.9' 'transformers<5' 'datasets<4.5'
    LM_EVAL=lm/bin/lm_eval pytest tests/benchmarks/test_lm_eval.py
"""

import json
import os
from contextlib import closing
from pathlib import Path

import children
import pytest
from openai_server import OpenAIStandIn

from benchmarks.code_correctness.generate import to_jsonl
from benchmarks.code_correctness.questions import ROWS, load
from benchmarks.run import perform
from benchmarks.suite import BENCHMARKS
from testing_crew.backends import open_backend
from testing_crew.backends.llama import embedded_file
from testing_crew.config import Config

LM_EVAL = os.environ.get("LM_EVAL", "")
MOST = 40  # rows that are asked
ANSWER = 256  # tokens; a server refuses a question that leaves no room for so many
pytestmark = pytest.mark.skipif(
    not LM_EVAL, reason="LM_EVAL names no lm_eval: lm-evaluation-harness has its own environment"
)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with closing(open_backend("embedded")) as model:
        room = model.context - ANSWER
        short = [question.row for question in load(None, print) if model.count_tokens(question.prompt) < room]
    place = tmp_path / "rows.jsonl"
    place.write_text(to_jsonl(short[:MOST]), encoding="utf-8")
    return place


def harness(url, rows, out):
    """The samples of the harness's run, and the mean that it tells."""
    model = f"model=embedded,base_url={url}/completions,tokenizer_backend=None,tokenized_requests=False"
    words = ["--tasks", "code_correctness", "--model", "local-completions", "--model_args", model]
    words += ["--include_path", str(ROWS.parent / "lm_eval"), "--log_samples", "--output_path", str(out)]
    variables = {**os.environ, "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "CODE_CORRECTNESS_ROWS": str(rows)}
    children.run([LM_EVAL, *words], env=variables, check=True, seconds=1200)
    (samples,) = Path(out).rglob("samples_*.jsonl")
    (results,) = Path(out).rglob("results_*.json")
    told = json.loads(results.read_text())["results"]["code_correctness"]["acc,none"]
    return [json.loads(line) for line in samples.read_text().splitlines()], told


def test_the_embedded_model_has_the_same_figure_in_both(rows, tmp_path):
    with OpenAIStandIn({"embedded": embedded_file()}) as url:
        samples, told = harness(url, rows, tmp_path / "out")
    run, _ = perform(BENCHMARKS["code_correctness"], load(rows, print), "embedded", Config())
    theirs = {str(each["doc"]["meta"]["id"]): each for each in samples}
    assert len(theirs) == run.n > 20
    for outcome in run.outcomes:
        sample = theirs[outcome.id]
        assert sample["arguments"]["gen_args_0"]["arg_0"] == outcome.answer.prompt
        # ours ends an answer that goes round in a loop, theirs when 256 tokens are full
        assert sample["filtered_resps"][0].startswith(outcome.answer.text)
        assert sample["acc"] == outcome.good
    assert sum(bool(outcome.answer.text.strip()) for outcome in run.outcomes) > run.n / 2
    assert told == run.scores["exact_match"].value


@pytest.mark.parametrize("answer", ["success", "failed"])
def test_a_constant_answer_has_the_same_figure_in_both(answer, rows, tmp_path):
    standin = OpenAIStandIn({"embedded": embedded_file()})
    body = {"choices": [{"index": 0, "text": answer, "finish_reason": "stop"}]}
    standin.answers = [(200, body)] * MOST
    with standin as url:
        samples, told = harness(url, rows, tmp_path / "out")
    run, _ = perform(BENCHMARKS["code_correctness"], load(rows, print), f"control:{answer}", Config())
    assert {str(each["doc"]["meta"]["id"]): each["acc"] for each in samples} == {o.id: o.good for o in run.outcomes}
    assert 0 < told == run.scores["exact_match"].value < 1

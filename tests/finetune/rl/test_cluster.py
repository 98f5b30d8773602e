"""Rewards over a Ray cluster of this machine: the same as here, also where a worker is killed at its work."""

import os
import signal
import sys
import threading

import pytest
from cheats import HONEST, MATHX

from finetune.reward import Grader, Sample
from finetune.rl.cluster import LOCAL, RayGrader
from testing_crew.errors import BackendUnavailable
from testing_crew.runner.plan import Limits
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

ADD = CodeUnderTest(source=MATHX, shown=MATHX, module="mathx", unit="add", root="", interpreter=sys.executable)
LIMITS = Limits(wall_seconds=20)
pytestmark = pytest.mark.timeout(300)


def sample(tests):
    return Sample(ADD, tests, {"mathx.py": MATHX})


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path):
    texts = [HONEST.replace("1, 2) == 3", f"{n}, 2) == {n + 2 + n % 3 // 2}") for n in range(16)]
    samples = [sample(text) for text in texts]
    with Grader(Runner(LIMITS), mutants=4) as here:
        expected = here.grade(samples)
    assert len({reward.accepted for reward in expected}) == 2
    kept = tmp_path / "rewards.jsonl"
    with RayGrader(LOCAL, LIMITS, kept, mutants=4, workers=2) as grader:
        victims = [grader._ray.get(worker.process.remote()) for worker in grader.workers]
        assert len(set(victims)) == 2
        killed = threading.Event()

        def tell(done, of):
            if done == 3 and not killed.is_set():
                os.kill(victims[0], signal.SIGKILL)
                killed.set()

        found = grader.grade(samples, tell)
        assert killed.is_set()
        assert grader._ray.get(grader.workers[0].process.remote()) != victims[0]  # started again
    same = [reward.model_dump(exclude={"seconds"}) for reward in found]
    assert same == [reward.model_dump(exclude={"seconds"}) for reward in expected]
    assert len(kept.read_text().splitlines()) == 16


def test_where_there_is_no_cluster_it_is_told():
    with pytest.raises(BackendUnavailable, match=r"there is no Ray cluster at 127\.0\.0\.1:1"):
        RayGrader("127.0.0.1:1", LIMITS)

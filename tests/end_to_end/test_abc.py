"""The whole way in small: stages A, B and C by `runs/abc.sh`, each from the one before, and the agent on the last."""

import json
import os
import sys
from pathlib import Path

import children

ROOT = Path(__file__).parents[2]


def test_three_stages_one_from_another_and_the_agent_on_the_last(tmp_path):
    script = ["bash", str(ROOT / "runs" / "abc.sh"), "--smoke", "--out", str(tmp_path)]
    done = children.run(script, env={**os.environ, "PYTHON": sys.executable}, seconds=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    notes = [json.loads(note.read_text()) for note in tmp_path.glob("home/adapters/*/training.json")]
    a, b, c = sorted(notes, key=lambda note: note["stage"])
    assert a["started_from"] is None
    assert (b["started_from_sha256"], c["started_from_sha256"]) == (a["sha256"], b["sha256"])
    assert all(0 < note["steps"] <= 4 and note["dev_loss"] <= note["dev_loss_before"] for note in (a, b, c))
    assert "traces" in c["data"]["train"]["sources"]  # its own repairs
    assert f"| c | {c['data']['train']['rows']} | {c['steps']} |" in done.stdout

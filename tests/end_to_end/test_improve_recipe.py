"""The loop as a reader sees it, in small: `runs/improve.sh` on the embedded base, from a made-up project to the sealed third."""

import json
import os
import sys
from pathlib import Path

import children

ROOT = Path(__file__).parents[2]


def test_the_recipe_comes_to_a_decision_and_measures_both_models_on_the_sealed_third(tmp_path):
    script = ["bash", str(ROOT / "runs" / "improve.sh"), "--smoke", "--out", str(tmp_path)]
    done = children.run(script, env={**os.environ, "PYTHON": sys.executable}, seconds=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads((tmp_path / "home" / "rounds" / "0001" / "round.json").read_text())
    assert told["decision"] in ("promoted", "kept", "undecided")
    assert list(told["steps"])[:5] == ["collect", "curate", "train", "export", "gate"]
    assert told["steps"]["curate"]["output"]["kept"] >= 1  # its own repairs, made here
    assert told["steps"]["gate"]["output"]["n"] == 4
    sealed = {file.name: json.loads(file.read_text().splitlines()[-1]) for file in tmp_path.glob("sealed-*.txt")}
    assert sealed.keys() == {"sealed-embedded.txt", "sealed-mine:v1.txt"}
    assert all(0 <= figures["pass_at_3"] <= 1 for figures in sealed.values())
    assert "round 1: " in done.stdout

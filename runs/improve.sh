#!/usr/bin/env bash
# The whole project in one: a model, a project of code that it is weak at, and the loop that makes a better model of its own repairs.
# Can be stopped and started again.
#
#   runs/improve.sh [--base embedded|smollm2] [--count N] [--samples N] [--minutes N] [--kinds text,…] [--out FOLDER] [--set KEY=VALUE]… [--smoke]
#
# The project's modules are dealt into thirds. The agent practises on the first, and its verified repairs are what is trained on; the
# gate decides on the second, which nothing like is trained on; the third is sealed, and measured once, at the end, for both models.
# --minutes bounds training; --smoke takes every step in two minutes and learns nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
top=$PWD
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
crew="$python -m self_improve.cli.app"
base=embedded count=150 samples=3 minutes= kinds= out= smoke=
sets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --base) base=$2; shift 2 ;;
    --count) count=$2; shift 2 ;;
    --samples) samples=$2; shift 2 ;;
    --minutes) minutes=$2; shift 2 ;;
    --kinds) kinds=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --set) sets+=(--set "$2"); shift 2 ;;
    --smoke) smoke=1; shift ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
done
out=${out:-runs/out/improve-$base${smoke:+-smoke}}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export TESTING_CREW_HOME=$out/home
# A small model learns at a higher rate than C's own recipe for a large one; its window is 1,024 tokens.
[ "$base" != embedded ] || sets=(--set learning_rate=1e-3 --set epochs=8 --set data.max_tokens=1000 "${sets[@]}")
[ -z "$smoke" ] || { export TESTING_CREW_CANDIDATES=1; count=12 samples=1; sets+=(--set max_steps=2 --set evaluations=1 --set data.replay_share=0.0); }

cd "$out"
if [ ! -e project ]; then
  echo "== a project of $count modules, in three parts =="
  "$python" -m finetune.data.modules ${kinds:+--kinds "$kinds"} --count "$count" --parts practice,decide,sealed --out making
  printf '[project]\nname = "project"\nversion = "0"\n' > making/pyproject.toml
  echo "model = \"$base\"" > making/testing_crew.toml
  mv making project
fi
cd project

[ -e "$out/sealed.json" ] || "$python" - "$out" <<'PY'
import json, pathlib, sys
from self_improve.tasks import fingerprints, load
out, tasks = pathlib.Path(sys.argv[1]), load([pathlib.Path("sealed")])
fingerprints(tasks).save(out / "sealed-marks.json")
rows = [{"id": task.id, "code": task.code, "file": pathlib.Path(task.file).name} for task in tasks]
(out / "sealed.json").write_text(json.dumps({"version": 1, "description": "the sealed third", "tasks": rows}))
PY

if ! grep -qs '"finished_at": "' "$TESTING_CREW_HOME/rounds/0001/round.json"; then
  echo "== the loop: self-play on practice, a decision on decide; nothing like sealed is trained on =="
  code=0
  $crew improve --self-play practice --tasks decide --fingerprints "$out/sealed-marks.json" --samples "$samples" --base "$base" \
    ${minutes:+--minutes "$minutes"} "${sets[@]}" || code=$?
  [ "$code" -le 1 ] || exit "$code"
fi
$crew status

echo "== the sealed third, measured once =="
new=$($crew models --json | "$python" -c 'import json, sys; tags = [m["tag"] for m in json.load(sys.stdin)["models"]]; print(next((t for t in reversed(tags) if t.startswith("local/")), ""))')
for tag in "$base" ${new:+"$new"}; do
  told=$out/sealed-$(basename "$tag").txt
  if [ ! -s "$told" ]; then
    "$python" "$top/eval_self_correction.py" --model "$tag" --tasks "$out/sealed.json" 2>&1 | tail -6 > "$told.part"
    mv "$told.part" "$told"
  fi
  cat "$told"
done

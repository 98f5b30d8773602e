#!/usr/bin/env bash
# Learning from what tests are worth: answers drawn and run, then SFT on the good ones, DPO, GRPO and PPO on top of it, and the table of
# all of them: accepted first files, pass@1, 5 and 10. Can be stopped and started again at any time.
#
#   runs/preference.sh [--base NAME] [--data SOURCE]… [--prompts N] [--answers N] [--steps N] [--tasks FILE] [--out FOLDER]
#
# SOURCE is as `testing-crew train` takes it: code:src, mbpp:FILE?split=train, or synthetic:2500, whose functions are of kinds that the
# embedded base was trained on, so that little is learned of them. FILE holds the tasks that are scored, as `bench first_files` takes them.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
crew="${PYTHON:-.venv/bin/python} -m self_improve.cli.app"
base=embedded data=() prompts=500 answers=12 steps=40 tasks=() out=runs/out/preference
while [ $# -gt 0 ]; do
  case "$1" in
    --base) base=$2; shift 2 ;;
    --data) data+=(--data "$2"); shift 2 ;;
    --prompts) prompts=$2; shift 2 ;;
    --steps) steps=$2; shift 2 ;;
    --answers) answers=$2; shift 2 ;;
    --tasks) tasks=(--tasks "$2"); shift 2 ;;
    --out) out=$2; shift 2 ;;
    -h | --help) sed -n 2,8p "$0"; exit ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
done
[ ${#data[@]} -gt 0 ] || data=(--data synthetic:2500)
# Ten times and more what suits a model of a thousand times its size; its answers are short, and what is longer has gone astray.
rates() { [ "$base" = embedded ] && echo "--set learning_rate=$1" || true; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
export TESTING_CREW_HOME=$out/home
value() { ${PYTHON:-.venv/bin/python} -c "import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])" "$1" "$2"; }

step() { # step NAME COMMAND…: once, with what it said as NAME.json
  local name=$1; shift
  [ -s "$out/$name.json" ] && return
  echo "== $name =="
  "$@" --json > "$out/$name.part"
  mv "$out/$name.part" "$out/$name.json"
}

[ -s "$out/scored.json" ] || $crew bench fingerprints --out "$out/scored.json"
asked=(--set "prompts.fingerprints=$out/scored.json" --set "prompts.rows=$prompts")
step pairs $crew train dpo-data --base "$base" "${data[@]}" "${asked[@]}" --set pairs.answers=$answers
pairs=$(value "$out/pairs.json" folder)
step sft $crew train a --base "$base" --from none --data "rows:$pairs/chosen.jsonl" --set data.near_duplicates=1.0 \
  --set data.answers=4 --set data.dev_share=0.08 --set epochs=3 --set accumulation=1 $(rates 5e-4) --resume
sft=$(value "$out/sft.json" folder)
step dpo $crew train dpo --base "$base" --from "$sft" --data "pairs:$pairs" --set "steps=$((steps * 3 / 2))" $(rates 2e-4) --resume
for method in grpo ppo; do
  step $method $crew train $method --base "$base" --from "$sft" "${data[@]}" "${asked[@]}" --set prompts.longest_answer=256 \
    --set "steps=$steps" $(rates 5e-4) --resume
done
for name in base sft dpo grpo ppo; do
  tag=$base
  [ $name = base ] || tag=$(value "$out/$name.json" tag)
  echo "== first files: $name =="
  $crew bench first_files --model "$tag" --once "${tasks[@]}"
done
$crew bench report --out "$out/report.html"
$crew bench report --out "$out/tables.md"

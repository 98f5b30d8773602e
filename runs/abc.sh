#!/usr/bin/env bash
# Stages A, B and C, each from the one before, and the agent on what came of them. Can be stopped and started again.
#
#   runs/abc.sh [--base smollm2|embedded|ORG/NAME] [--minutes N] [--kodcode PATH] [--repositories ROWS.jsonl] [--smoke]
#
# A: functions and their tests (KodCode's rows where given, and made-up ones). B: rows in TestGenEval's columns, from the tests of
# real packages. C: the repairs that the agent itself made on code that it had not seen. --smoke takes every step in minutes and
# learns little. What it trains on is permissive: see the model card of each adapter.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
crew=.venv/bin/testing-crew
base=embedded minutes= kodcode= repositories= smoke=
while [ $# -gt 0 ]; do
  case "$1" in
    --base) base=$2; shift 2 ;;
    --minutes) minutes=$2; shift 2 ;;
    --kodcode) kodcode=$2; shift 2 ;;
    --repositories) repositories=$2; shift 2 ;;
    --smoke) smoke=1; shift ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
done
out=runs/out/abc-$(basename "$base")${smoke:+-smoke}
mkdir -p "$out"
export TESTING_CREW_HOME=$PWD/$out/home
made=8000 modules=24 longest=1000
[ "$base" = embedded ] || longest=1500
if [ -n "$smoke" ]; then made=60 modules=3; fi

if [ -z "$repositories" ]; then
  repositories=$out/repositories.jsonl
  # Permissively licensed packages whose source distributions carry their tests; none of them is in our benchmarks.
  [ -s "$repositories" ] || .venv/bin/python -m finetune.data.packages ${smoke:+wcwidth} \
    $([ -n "$smoke" ] || echo wcwidth sortedcontainers jmespath tabulate pyparsing) --out "$repositories"
fi

stage() { # stage NAME SOURCE…
  local name=$1; shift
  local sources=(); for source in "$@"; do sources+=(--data "$source"); done
  if ls "$TESTING_CREW_HOME"/adapters/*-"$name"-*/training.json >/dev/null 2>&1; then echo "== stage $name is there =="; return; fi
  echo "== stage $name: $* =="
  $crew train "$name" --base "$base" "${sources[@]}" --set "data.max_tokens=$longest" --set data.dev_share=0.1 \
    --set data.dev_rows=60 --resume ${minutes:+--minutes "$minutes"} ${smoke:+--set max_steps=6 --set evaluations=2} "${more[@]}"
}

more=()
stage a ${kodcode:+"kodcode:$kodcode"} "synthetic:$made"
stage b "testgeneval:$repositories"

code=$out/code
[ -d "$code" ] || .venv/bin/python -m finetune.data.modules --count "$modules" --out "$code"
adapter=$(ls -d "$TESTING_CREW_HOME"/adapters/*-b-*/adapter)
if [ ! -e "$out/played" ]; then
  echo "== the agent works on code that it has not seen; its repairs are kept =="
  $crew write "$code" --model "$adapter" --out "$out/tests" --force || true  # not all of it will be accepted
  touch "$out/played"
fi
more=(--set "data.replay=[\"synthetic:$((made / 8))\"]")
stage c traces

echo "== what came of it =="
.venv/bin/python - <<'PY'
import json, os, pathlib
print("| stage | rows | steps | minutes | dev loss before | after |\n| --- | --- | --- | --- | --- | --- |")
for note in sorted(pathlib.Path(os.environ["TESTING_CREW_HOME"]).glob("adapters/*/training.json"), key=lambda p: json.loads(p.read_text())["stage"]):
    t = json.loads(note.read_text())
    rows = t["data"]["train"]["rows"]
    print(f"| {t['stage']} | {rows} | {t['steps']} | {t['seconds'] / 60:.1f} | {t['dev_loss_before']:.4f} | {t['dev_loss']:.4f} |")
PY
adapter=$(ls -d "$TESTING_CREW_HOME"/adapters/*-c-*/adapter)
$crew write examples/shop/prices.py --model "$adapter" --out "$out/shop" --force || true

#!/usr/bin/env bash
# Stages A, B and C, each from the one before, and the agent on what came of them. Can be stopped and started again.
#
#   runs/abc.sh [--base smollm2|embedded|ORG/NAME] [--minutes N] [--kodcode PATH] [--repositories ROWS.jsonl] [--writer MODEL]
#               [--made N] [--modules N] [--out FOLDER] [--set KEY=VALUE]… [--smoke]
#
# A: functions and their tests (KodCode's rows where given, and made-up ones). B: rows in TestGenEval's columns, from the tests of
# real packages. C: the repairs that the agent itself made on code that it had not seen, with stage B's model or with --writer.
# --minutes is for each stage. --smoke takes every step in minutes and
# learns little. What it trains on is permissive: see the model card of each adapter.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
python=${PYTHON:-.venv/bin/python}
crew="$python -m self_improve.cli.app"
base=embedded minutes= kodcode= repositories= out= smoke= writer= modules= made=8000
sets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --base) base=$2; shift 2 ;;
    --minutes) minutes=$2; shift 2 ;;
    --kodcode) kodcode=$2; shift 2 ;;
    --repositories) repositories=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --made) made=$2; shift 2 ;;
    --writer) writer=$2; shift 2 ;;
    --modules) modules=$2; shift 2 ;;
    --set) sets+=(--set "$2"); shift 2 ;;
    --smoke) smoke=1; shift ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
done
out=${out:-runs/out/abc-$(basename "$base")${smoke:+-smoke}}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export TESTING_CREW_HOME=$out/home
if [ -n "$smoke" ]; then made=40 modules=${modules:-3}; export TESTING_CREW_CANDIDATES=1; fi

# Permissively licensed packages whose source distributions carry tests; none of them is in our benchmarks.
packages=(pydash==8.1.0 validators==0.36.0 wcwidth==0.9.4 pyrsistent==0.20.0 tomlkit==0.15.2
  deepmerge==4.0.0 hyperframe==6.1.0 dpath==2.2.0 ordered-set==4.1.0 schema==0.7.8 werkzeug==3.1.9
  sqlparse==0.6.1 w3lib==2.5.0 isodate==0.7.2 itsdangerous==2.2.0 voluptuous==0.16.0 packaging==26.4
  rfc3986==2.0.0)
[ -z "$smoke" ] || packages=(installed:websocket-client)
if [ -z "$repositories" ]; then
  repositories=$out/repositories.jsonl
  [ -s "$repositories" ] || $python -m finetune.data.packages --sdists "${packages[@]}" --out "$repositories"
fi

stage() { # stage NAME SOURCE…
  local name=$1; shift
  local sources=(); for source in "$@"; do sources+=(--data "$source"); done
  if ls "$TESTING_CREW_HOME"/adapters/*-"$name"-*/training.json >/dev/null 2>&1; then echo "== stage $name is there =="; return; fi
  echo "== stage $name: $* =="
  $crew train "$name" --base "$base" "${sources[@]}" --set "data.max_tokens=1500" --set data.dev_share=0.1 \
    --set data.dev_rows=60 --resume ${minutes:+--minutes "$minutes"} ${smoke:+--set micro_tokens=1024 --set max_steps=4 --set accumulation=1 --set evaluations=2} "${sets[@]}" "${more[@]}"
}

served() { # served STAGE: the tag of its adapter, llama.cpp's where it was converted for it
  local adapter; adapter=$(ls -d "$TESTING_CREW_HOME"/adapters/*-"$1"-*/adapter)
  if [ -e "$adapter/adapter.gguf" ]; then echo "$base@$adapter"; else echo "hf:$adapter"; fi
}

more=()
stage a ${kodcode:+"kodcode:$kodcode"} "synthetic:$made"
stage b "testgeneval:$repositories"

code=$out/code
[ -d "$code" ] || $python -m finetune.data.modules --count "${modules:-24}" --out "$code"
if [ ! -e "$out/played" ]; then
  echo "== the agent works on code that it has not seen; its repairs are kept =="
  $crew write "$code" --model "${writer:-$(served b)}" --out "$out/tests" --force || [ $? -eq 1 ]  # 1: not all of it was accepted
  touch "$out/played"
fi
more=(--set "data.replay=[\"synthetic:$((made / 8))\"]")
stage c traces

echo "== what came of it =="
$python - <<'PY'
import json, os, pathlib
print("| stage | rows | steps | minutes | dev loss before | after |\n| --- | --- | --- | --- | --- | --- |")
for note in sorted(pathlib.Path(os.environ["TESTING_CREW_HOME"]).glob("adapters/*/training.json"), key=lambda p: json.loads(p.read_text())["stage"]):
    t = json.loads(note.read_text())
    rows = t["data"]["train"]["rows"]
    print(f"| {t['stage']} | {rows} | {t['steps']} | {t['seconds'] / 60:.1f} | {t['dev_loss_before']:.4f} | {t['dev_loss']:.4f} |")
PY
$crew write examples/shop/prices.py --model "$(served c)" --out "$out/shop" --force || true

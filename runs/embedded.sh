#!/usr/bin/env bash
# The embedded model: made-up examples and real code → training → GGUF, proven → the package. It goes on from the weights that ship
# (`start` in the config). It can be stopped and started again at any time. About 95 minutes on two cores, of which a sixth goes
# into trying real code; with --smoke, a model of minutes from nothing that learns little but takes every step.
#
# What resembles a task that is scored is left out: our own, and those of HumanEval and MBPP where their files are given.
#
#   [HUMANEVAL=FILE] [MBPP=FILE] runs/embedded.sh [--smoke] [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
python=.venv/bin/python
config=finetune/configs/embedded.toml
out=runs/out/embedded
publish=testing_crew/embedded
from=(--packages finetune/data/real/packages.txt --standard --minutes 20)
if [ "${1:-}" = "--smoke" ]; then
  shift
  config=finetune/configs/embedded_smoke.toml
  out=runs/out/embedded-smoke
  publish=$out/published
  from=(--modules textwrap,posixpath)
fi
out=${1:-$out}
scored=(${HUMANEVAL:+--humaneval "$HUMANEVAL"} ${MBPP:+--mbpp "$MBPP"})
[ "$publish" = testing_crew/embedded ] || publish=$out/published

mkdir -p "$out"
[ -s "$out/real.jsonl" ] || $python -m finetune.data.real.harvest --site "$out/site" --out "$out/real.jsonl" "${from[@]}"
[ -s "$out/scored.json" ] || $python -m self_improve.cli.app bench fingerprints --out "$out/scored.json" "${scored[@]}"
$python -m finetune.pretrain --config "$config" --real "$out/real.jsonl" --scored "$out/scored.json" --out "$out"
$python -m export.embedded --model "$out/model" --out "$publish" --texts "$out/data/proof.json"
echo "published to $publish"

#!/usr/bin/env bash
# The embedded model from nothing: made-up examples → tokenizer → pretraining → GGUF, proven → the package.
# It can be stopped and started again at any time. Hours on two cores; with --smoke, a model of minutes that learns little
# but takes every step.
#
#   runs/embedded.sh [--smoke] [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
python=.venv/bin/python
config=finetune/configs/embedded.toml
out=runs/out/embedded
publish=testing_crew/embedded
if [ "${1:-}" = "--smoke" ]; then
  shift
  config=finetune/configs/embedded_smoke.toml
  out=runs/out/embedded-smoke
  publish=$out/published
fi
out=${1:-$out}
[ "$publish" = testing_crew/embedded ] || publish=$out/published

$python -m finetune.pretrain --config "$config" --out "$out"
$python -m export.embedded --model "$out/model" --out "$publish" --texts "$out/data/proof.json"
echo "published to $publish"

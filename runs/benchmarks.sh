#!/usr/bin/env bash
# Every benchmark that can run here, for a model, the snapshot, the oracle and the controls; then the tables and the page.
# Can be stopped and started again: what was finished by the same model, tasks, settings and code is not done again.
#
#   runs/benchmarks.sh [--model TAG]… [--limit N] [--controls N] [--humaneval FILE] [--mbpp FILE] [--out FOLDER]
#
# --limit is for each benchmark, --controls for each control. HumanEval and MBPP run where their files are given.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=PASSIVE
crew="${PYTHON:-.venv/bin/python} -m self_improve.cli.app"
models=() limit=() controls=20 humaneval= mbpp= out=runs/out/benchmarks
while [ $# -gt 0 ]; do
  case "$1" in
    --model) models+=("$2"); shift 2 ;;
    --limit) limit=(--limit "$2"); shift 2 ;;
    --controls) controls=$2; shift 2 ;;
    --humaneval) humaneval=$2; shift 2 ;;
    --mbpp) mbpp=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    -h | --help) sed -n 2,7p "$0"; exit ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
done
[ ${#models[@]} -gt 0 ] || models=(embedded)
mkdir -p "$out"
out=$(cd "$out" && pwd)
export TESTING_CREW_HOME=$out/home

bench() { # bench NAME MODEL OPTION…
  echo "== $1: $2 =="
  $crew bench "$1" --model "$2" --once "${@:3}"
}

names=(self_correction bugs real_packages)
[ -z "$humaneval" ] || names+=(humaneval)
[ -z "$mbpp" ] || names+=(mbpp)
for name in "${names[@]}"; do
  file=(); case "$name" in humaneval) file=(--tasks "$humaneval") ;; mbpp) file=(--tasks "$mbpp") ;; esac
  for model in "${models[@]}" snapshot; do bench "$name" "$model" "${limit[@]}" "${file[@]}"; done
  case "$name" in
    self_correction | humaneval | mbpp)
      bench "$name" control:oracle "${limit[@]}" "${file[@]}" --samples 0
      for control in vacuous inlining stubbing; do bench "$name" "control:$control" --limit "$controls" "${file[@]}" --samples 0; done ;;
  esac
done
for model in "${models[@]}" control:majority; do bench code-correctness "$model" "${limit[@]}"; done
bench code-correctness control:runner "${limit[@]}" || echo "left out: its rows in Java and Go need a JDK, JUnit 5 and Go"
$crew bench report --out "$out/report.html"
$crew bench report --out "$out/tables.md"

#!/usr/bin/env bash
# Checks and times gpunn on a real GPU, in one run of a few minutes: the device, every kernel against the CPU, the ladders of kernels,
# training steps, ten recipes for some steps, and CIFAR-10 with as many seeds as the time allows. The program has to be built before:
# the machine with the GPU needs neither Rust nor Python.
#
# Usage: scripts/gpu.sh OUT [SECONDS]        writes OUT/gpu.json and OUT/gpu.md; 480 seconds if none are given
# GPUNN names the program [default: target/release/gpunn], GPUNN_DATA the datasets; without these, only the embedded dataset is trained
# on. DEVICE is what `--device` gets [default: gpu]. TRAIN_FLAGS are more flags for every training: a software adapter with small buffers
# needs --batch-size 16.
set -uo pipefail
cd "$(dirname "$0")/.."

out=${1:?usage: scripts/gpu.sh OUT [SECONDS]}
budget=${2:-480}
gpunn=${GPUNN:-target/release/gpunn}
device=${DEVICE:-gpu}
read -ra more <<< "${TRAIN_FLAGS:-}"
[[ -x $gpunn ]] || { echo "there is no program $gpunn; build it with cargo build --release, or name it in GPUNN" >&2; exit 2; }
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

left() { echo $((budget - SECONDS)); }
steps=0 failed=0
echo '{"steps": [' > "$out/gpu.json"
printf '# gpunn on a GPU\n\n%s\n\n| step | seconds | exit |\n|---|---|---|\n' "$(date -u +%F)" > "$out/gpu.md"
: > "$work/texts"

# step NAME MOST COMMAND ARGUMENT...: runs a command for at most MOST seconds, and no longer than the budget. Its standard output is the
# step's result, as JSON in the last line; its standard error is for readers.
step() {
  local name=$1 most=$2 begun=$SECONDS status=0 limit; shift 2
  limit=$(left); ((limit > most)) && limit=$most
  if ((limit < 5)); then
    echo "$name: no time is left"
    printf '| %s | | no time was left |\n' "$name" >> "$out/gpu.md"
    return
  fi
  timeout "$limit" "$@" > "$work/out" 2> "$work/err" || status=$?
  local seconds=$((SECONDS - begun)) result
  # Only a whole JSON value is taken over.
  result=$(grep -E '^[{[].*[]}]$' "$work/out" | tail -1)
  ((steps++ == 0)) || echo ',' >> "$out/gpu.json"
  printf '{"name": "%s", "command": "%s", "seconds": %d, "exit": %d, "result": %s}\n' \
    "$name" "${*//[\"\\]/}" "$seconds" "$status" "${result:-null}" >> "$out/gpu.json"
  printf '| %s | %d | %d |\n' "$name" "$seconds" "$status" >> "$out/gpu.md"
  { printf '\n## %s\n\n`%s`\n\n```\n' "$name" "$*"; tr '\r' '\n' < "$work/err" | grep -v '^epoch .*%.*left' | tail -60; echo '```'; } >> "$work/texts"
  echo "$name: $seconds s, exit $status"
  ((status == 0)) || failed=1
  return "$status"
}

step devices 30 "$gpunn" devices --json
step check 150 "$gpunn" check --variants --device "$device" --json
step "ladder of matrix products" 60 "$gpunn" bench matmul --ladder --device "$device" --seconds 0.05 --repeats 5 --json
step "ladder of convolutions" 60 "$gpunn" bench conv2d --ladder --device "$device" --seconds 0.05 --repeats 5 --json
step "classification of photos" 60 "$gpunn" bench predict --device "$device" --seconds 0.2 --repeats 5 --json
step "training steps" 60 "$gpunn" bench train --device "$device" --seconds 0.2 --repeats 5 --json

train() { local name=$1; shift; step "$name" 60 "$gpunn" train --device "$device" --no-report --json --out "$work/$name" "$@" ${more[@]+"${more[@]}"}; }
train glyphs-mlp --recipe glyphs-mlp --epochs 5
if [[ -n ${GPUNN_DATA:-} ]]; then
  for recipe in nist36-mlp nist36-cnn nist36-autoencoder nist36-best; do
    train "$recipe" --recipe "$recipe" --dataset emnist36 --epochs 1 --limit-train 3600
  done
  for recipe in cifar10-cnn cifar10-best sun8-cnn flowers17-squeezenet; do
    train "$recipe" --recipe "$recipe" --epochs 1 --limit-train 600
  done
  # Both precisions take turns, so that a short budget has figures of both. A training that fails would fail again.
  seed=1 going=true
  while $going && (($(left) > 20)); do
    for precision in f32 f16; do
      step "cifar10-94 in $precision, seed $seed" "$(left)" "$gpunn" train --recipe cifar10-94 --precision "$precision" --seed "$seed" \
        --device "$device" --no-report --json --out "$work/cifar10-$precision-$seed" ${more[@]+"${more[@]}"} || going=false
    done
    seed=$((seed + 1))
  done
fi

echo ']}' >> "$out/gpu.json"
cat "$work/texts" >> "$out/gpu.md"
echo "$out/gpu.json, $out/gpu.md: $SECONDS s"
exit "$failed"

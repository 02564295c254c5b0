#!/usr/bin/env bash
# The slow tests of docs/reliability.md: what has to be repeated many times, or for a long time.
#
# Usage: scripts/endure.sh kills [KILLS]      kills trainings at random moments and resumes them [default: 200 kills]
#        scripts/endure.sh fuzz [SECONDS]     runs each fuzz target for so long [default: 600]
#        scripts/endure.sh memory             compares the memory of short and long trainings
#        scripts/endure.sh                    all of them
# GPUNN names the program [default: target/release/gpunn]. Exits with 1 if a promise is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
gpunn=$(realpath "${GPUNN:-target/release/gpunn}")
[[ -x $gpunn ]] || { echo "there is no program $gpunn; build it with cargo build --release" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -n ${XDG_RUNTIME_DIR:-} ]] || export NODEVICE_SELECT=1
devices=(cpu)
"$gpunn" devices --json | grep -q '"devices":\[\]' || devices+=(gpu)
# The recipes that are killed: momentum with a schedule, an average of weights with augmentation, a convolutional network, streamed
# images. No path or flag has a space.
recipes=(
  "--recipe nist36-mlp-momentum --dataset glyphs --schedule cosine --epochs 20 --limit-train 2000"
  "--ema 0.99 --flip=alternate --translate 1 --epochs 12 --limit-train 1500"
  "--model cnn --dataset glyphs --epochs 2 --limit-train 360"
  "--stream --epochs 12 --limit-train 1500"
)

# Trains with these flags and prints the hash of the weights, or nothing if that fails.
hash_of() { "$gpunn" train "$@" --no-report --quiet --json 2> /dev/null | grep -o '"weights_hash":"[0-9a-f]*"' || true; }

# The flags that go on with a run, or begin it if it was killed before its first checkpoint.
start() {
  if [[ -f $run/last.safetensors || -f $run/initial.safetensors ]]; then
    echo "--resume $run --device $device"
  else
    echo "${common[*]} --out $run --force"
  fi
}

# Kills trainings with SIGKILL at random moments and resumes them until they end. Each has to end with the weights of a training that
# was not killed.
kills() {
  local wanted_kills=$1 done_kills=0 failed=0 runs=0
  declare -A wanted took
  while ((done_kills < wanted_kills)); do
    for device in "${devices[@]}"; do
      for number in "${!recipes[@]}"; do
        read -ra flags <<< "${recipes[number]}"
        common=("${flags[@]}" --device "$device" --seed 7)
        key=$device-$number
        if [[ -z ${wanted[$key]:-} ]]; then
          begun=$(date +%s%N)
          wanted[$key]=$(hash_of "${common[@]}" --out "$work/whole-$key")
          [[ -n ${wanted[$key]} ]] || { echo "gpunn train ${common[*]} fails" >&2; return 1; }
          took[$key]=$((($(date +%s%N) - begun) / 1000000 + 1))
        fi
        run=$work/run
        rm -rf "$run"
        ((runs += 1))
        for attempt in 1 2 3 4 5; do
          # A checkpoint after each submission, so that most kills meet one that is being written.
          "$gpunn" train $(start) --no-report --quiet --save-every 0 > /dev/null 2>&1 &
          child=$!
          sleep "$(printf '%d.%03d' $((RANDOM % took[$key] / 1000)) $((RANDOM % took[$key] % 1000)))"
          kill -9 "$child" 2> /dev/null && ((done_kills += 1))
          wait "$child" 2> /dev/null || true
        done
        found=$(hash_of $(start))
        if [[ $found != "${wanted[$key]}" ]]; then
          echo "${recipes[number]} on $device: ${found:-no result} instead of ${wanted[$key]}" >&2
          kept=$(mktemp -d)
          mv "$run" "$kept"
          echo "the run is kept in $kept" >&2
          failed=1
        fi
      done
    done
  done
  echo "$done_kills kills in $runs trainings on ${devices[*]}: $( ((failed)) && echo 'some ended with other weights' || echo 'each ended with the weights of a whole one')"
  return $failed
}

fuzz() {
  local failed=0
  GPUNN_FUZZ_SECONDS=$1 cargo test --release --test program fuzz -- --test-threads 2 || failed=1
  GPUNN_FUZZ_SECONDS=$1 cargo test --release -p kernels-tests --test kernels fuzz -- --test-threads 2 || failed=1
  return $failed
}

# The largest memory of a training with these flags, in KiB.
peak() {
  python3 - "$gpunn" train "$@" --no-report --quiet --out "$work/peak" --force << 'END'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
END
}

# A training that is thirty times as long takes at most a tenth more memory.
memory() {
  local failed=0 device short long
  for device in "${devices[@]}"; do
    short=$(peak --device "$device" --epochs 2) || return 1
    long=$(peak --device "$device" --epochs 60) || return 1
    echo "memory on $device: $short KiB after 676 steps, $long KiB after 20,280 steps"
    ((long * 10 <= short * 11)) || failed=1
  done
  return $failed
}

case ${1:-all} in
  kills) kills "${2:-200}" ;;
  fuzz) fuzz "${2:-600}" ;;
  memory) memory ;;
  all)
    failed=0
    kills 200 || failed=1
    memory || failed=1
    fuzz 600 || failed=1
    exit $failed
    ;;
  *) echo "there is no part $1: kills, fuzz or memory" >&2; exit 2 ;;
esac

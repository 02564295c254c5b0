#!/usr/bin/env bash
# Kills trainings with SIGKILL at random moments and resumes them until they end, on the CPU and on an adapter if there is one. Each has
# to end with the weights of a training that was not killed. For docs/reliability.md.
#
# Usage: scripts/endure.sh [KILLS]      at least so many kills, 200 if none is given. GPUNN names the program
#        [default: target/release/gpunn]. Exits with 1 if weights differ or a resume fails.
set -euo pipefail
cd "$(dirname "$0")/.."
kills=${1:-200}
gpunn=$(realpath "${GPUNN:-target/release/gpunn}")
[[ -x $gpunn ]] || { echo "there is no program $gpunn; build it with cargo build --release" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -n ${XDG_RUNTIME_DIR:-} ]] || export NODEVICE_SELECT=1

devices=(cpu)
"$gpunn" devices --json | grep -q '"devices":\[\]' || devices+=(gpu)
# Recipes: momentum with a schedule, an average of weights with augmentation, a convolutional network.
recipes=(
  "--recipe nist36-mlp-momentum --dataset glyphs --schedule cosine --epochs 20 --limit-train 2000"
  "--ema 0.99 --flip=alternate --translate 1 --epochs 12 --limit-train 1500"
  "--model cnn --dataset glyphs --epochs 2 --limit-train 360"
)
# Trains with these flags and prints the hash of the weights, or nothing if that fails.
hash_of() { "$gpunn" train "$@" --no-report --quiet --json 2> /dev/null | grep -o '"weights_hash":"[0-9a-f]*"' || true; }

# The flags that go on with a run, or begin it if it was killed before its first checkpoint. No path or flag has a space.
start() {
  if [[ -f $run/last.safetensors || -f $run/initial.safetensors ]]; then
    echo "--resume $run --device $device"
  else
    echo "${common[*]} --out $run --force"
  fi
}

done_kills=0 failed=0 runs=0
declare -A wanted took
while ((done_kills < kills)); do
  for device in "${devices[@]}"; do
    for number in "${!recipes[@]}"; do
      read -ra flags <<< "${recipes[number]}"
      common=("${flags[@]}" --device "$device" --seed 7)
      key=$device-$number
      if [[ -z ${wanted[$key]:-} ]]; then
        begun=$(date +%s%N)
        wanted[$key]=$(hash_of "${common[@]}" --out "$work/whole-$key")
        [[ -n ${wanted[$key]} ]] || { echo "gpunn train ${common[*]} fails" >&2; exit 1; }
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
exit $failed

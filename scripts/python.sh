#!/usr/bin/env bash
# Builds the Python wheel, installs it into a new virtual environment, and tests both of its doors there: the module and the program.
# Usage: scripts/python.sh [PYTEST-WORD...]
# Leaves the wheel in target/wheels.
# Exits with 3 where there is no Python 3.10, or maturin cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if command -v cygpath >/dev/null; then work=$(cygpath -m "$work"); fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "The module needs Python 3.10." >&2; exit 3; }
python3 -m venv "$work/env"
bin=$work/env/bin
[[ ${OS:-} != Windows_NT ]] || bin=$work/env/Scripts
"$bin/python" -m pip install -q --disable-pip-version-check maturin mypy numpy pillow pytest || exit 3

wheels=${CARGO_TARGET_DIR:-target}/wheels
rm -rf "$wheels"
"$bin/maturin" build -q --locked --interpreter "$bin/python" --out "$wheels"
wheel=$(echo "$wheels"/*.whl)
bytes=$(wc -c < "$wheel")
echo "$(basename "$wheel"): $bytes bytes"
(( bytes <= 12000000 )) || { echo "a wheel may have 12 MB" >&2; exit 1; }
"$bin/python" -m pip install -q --disable-pip-version-check --no-deps "$wheel"

# The program in the wheel, by both of its names, from a folder without this package in it.
for words in "$bin/gpunn" "$bin/python -m gpunn"; do
  (cd "$work" && $words --version)
done
"$bin/python" -m pytest -q "$@"
"$bin/mypy" --cache-dir "$work/mypy" python/tests/typed.py

# Sourced by the scripts: a temporary folder with an environment of its own, removed at the end.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
python3 -m venv env
PIP="env/bin/python -m pip --quiet --disable-pip-version-check"
PYTHON="$WORK/env/bin/python"

#!/usr/bin/env bash
# Locks requirements/*.in into *.txt with hashes, for Python 3.10 and newer. Run it after changing a .in file.
# All locks agree because each is compiled against constraints.txt, which locks everything at once.
set -euo pipefail
cd "$(dirname "$0")"
compile() { uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url --no-annotate --custom-compile-command "requirements/lock.sh" "$@"; }
compile ai_core.in ai_core-gguf.in dev.in --output-file constraints.txt
for name in ai_core ai_core-gguf dev; do
  compile --generate-hashes --constraint constraints.txt "$name.in" --output-file "$name.txt"
done

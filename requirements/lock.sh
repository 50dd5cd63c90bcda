#!/usr/bin/env bash
# Locks requirements/*.in into *.txt with hashes, for Python 3.10 and newer. Run it after changing a .in file.
# All locks agree because each is compiled against constraints.txt, which locks everything at once.
# torch.txt stands apart (it says why): overrides.txt takes torch, and the CUDA packages it asks for, out of the locks.
set -euo pipefail
cd "$(dirname "$0")"
locks=(ai_core ai_core-gguf ai_core-transformers ai_core-onnx mail_service telegram_service dev)
compile() { uv pip compile --quiet --universal --python-version 3.10 --override overrides.txt --no-emit-index-url --no-annotate --custom-compile-command "requirements/lock.sh" "$@"; }
compile "${locks[@]/%/.in}" --output-file constraints.txt
for name in "${locks[@]}" ansible; do  # what deploys runs beside the services' libraries, not with them
  compile --generate-hashes --constraint constraints.txt "$name.in" --output-file "$name.txt"
done

#!/usr/bin/env bash
# Run the slicing tests inside the image, as its own user, with its own Python, packages and PrusaSlicer; only
# pytest and its kind come from this checkout's environment. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=slicer-container/image.sh
source slicer-container/image.sh

packages=$(echo "$PWD"/.local/venv/lib/python3.13/site-packages)
[[ -d $packages ]] || { echo "The development environment is missing; make test sets it up." >&2; exit 1; }

program='
import pathlib, sys
for root in "layers/common/printshop", "slicer-container/slicer_worker":
    for source in pathlib.Path(root).rglob("*.py"):
        copy = "/opt/slicer/app" / source.relative_to(pathlib.Path(root).parent)
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            sys.exit(f"The image is older than {source}: slicer-container/build-image.sh builds it again.")
sys.path.append("/dev-packages")  # last: what the image has, it uses
import pytest
import awslambdaric, slicer_worker.lambda_handler, slicer_worker.poller
from printshop.slicing.slicer import find_slicer
print(find_slicer("/usr/bin/prusa-slicer"), "Python", sys.version.split()[0], flush=True)
sys.exit(pytest.main(["-p", "no:cacheprovider", "--override-ini=pythonpath=.", *sys.argv[1:]]))
'
arguments=(--quiet --confcutdir=tests/integration/slicing tests/unit/geometry tests/unit/slicing tests/integration/slicing "$@")

if have_docker; then
    exec docker run --rm --read-only --tmpfs /tmp:exec --volume "$PWD:/src:ro" --volume "$packages:/dev-packages:ro" \
        --workdir /src --entrypoint python "$IMAGE" -c "$program" "${arguments[@]}"
fi
need buildah
buildah "${STORE[@]}" inspect --type image "$IMAGE" >/dev/null 2>&1 ||
    { echo "There is no image yet: slicer-container/build-image.sh builds it." >&2; exit 1; }
container=$(buildah "${STORE[@]}" from --pull=never "$IMAGE")
trap 'buildah "${STORE[@]}" rm "$container" >/dev/null' EXIT
buildah "${STORE[@]}" run --isolation chroot --workingdir /src \
    --volume "$PWD:/src:ro" --volume "$packages:/dev-packages:ro" \
    "$container" -- python -c "$program" "${arguments[@]}"

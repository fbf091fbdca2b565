#!/usr/bin/env bash
# Build the slicer image as printshop-slicer.
#
# With a Docker engine this is a plain `docker build`. Without one the same Dockerfile is built by buildah in a
# chroot, as root: on BASE_IMAGE when that names an image a registry can give, else on a Debian trixie that
# debootstrap fetches from the mirror this machine's own apt uses. State is kept in .local/image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=slicer-container/image.sh
source slicer-container/image.sh

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }

if have_docker; then
    say "docker build"
    exec docker build --file slicer-container/Dockerfile --tag "$IMAGE" ${BASE_IMAGE:+--build-arg "BASE=$BASE_IMAGE"} .
fi
need buildah podman
mkdir -p "$STATE"

base=${BASE_IMAGE:-localhost/debian:trixie-slim}
if [[ -z ${BASE_IMAGE:-} ]] && ! podman "${STORE[@]}" image exists "$base"; then
    need debootstrap
    mirror=$(debian_mirror)
    rootfs=$(mktemp -d "$STATE/rootfs.XXXXXX")
    trap 'rm -rf "$rootfs"' EXIT
    chmod 755 "$rootfs" # it becomes the image's /, which the non-root user must be able to enter
    say "debootstrap trixie"
    debootstrap --variant=minbase trixie "$rootfs" "$mirror" | sed -u -n 's/^I: \(Retrieving InRelease\|Chosen extractor\|Installing core\|Unpacking the base\|Base system\)/  \1/p'
    rm -rf "$rootfs"/var/cache/apt/* "$rootfs"/var/lib/apt/lists/* "$rootfs"/usr/share/{doc,man,locale}/*
    say "podman import as $base"
    tar --create --directory "$rootfs" --numeric-owner . | podman "${STORE[@]}" import - "$base" >/dev/null
fi

say "buildah build (apt and pip fetch some 400 MB the first time)"
certificate=${PIP_CERT:-${SSL_CERT_FILE:-}}
trust=()
if [[ -f $certificate ]]; then
    trust=(--volume "$certificate:/run/host-ca.crt:ro" --build-arg PIP_CERT=/run/host-ca.crt)
fi
buildah "${STORE[@]}" build --isolation chroot --network host --pull=never --format docker \
    "${trust[@]}" --build-arg "BASE=$base" \
    --ignorefile .dockerignore \
    --file slicer-container/Dockerfile --tag "$IMAGE" . >"$STATE/build.log" 2>&1 \
    || { tail -40 "$STATE/build.log" >&2; say "the build failed; all of it is in $STATE/build.log" >&2; exit 1; }
buildah "${STORE[@]}" rmi --prune >/dev/null # the image that this one replaces
buildah "${STORE[@]}" images --filter reference="$IMAGE"
say "done"

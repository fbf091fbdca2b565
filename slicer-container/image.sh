# shellcheck shell=bash
# Sourced by build-image.sh and check-image.sh: names, and where images are kept without a Docker engine.
IMAGE=localhost/printshop-slicer:latest
STATE=$PWD/.local/image
# vfs needs no mount rights; runroot must not be the system's own, which a service may hold.
STORE=(--root "$STATE/storage" --runroot "$STATE/run" --storage-driver vfs)

have_docker() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

need() {
    local program missing=()
    for program in "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
    if ((${#missing[@]})); then
        echo "Missing: ${missing[*]}. On Debian: apt-get install ${missing[*]} (or run a Docker engine)." >&2
        exit 1
    fi
    if ((EUID != 0)); then
        echo "Building without a Docker engine needs root: chroot and debootstrap do." >&2
        exit 1
    fi
}

# The first Debian mirror that apt itself uses.
debian_mirror() {
    apt-get indextargets --format '$(SITE) $(ORIGIN) $(CODENAME)' 'Identifier: Packages' |
        awk '$2 == "Debian" && $3 !~ /security/ {print $1; found = 1; exit} END {exit !found}'
}

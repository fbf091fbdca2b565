#!/bin/sh
# Lay the headless Chromium of package-lock.json out in a folder:  install.sh DESTINATION
#
#   chromium.zst  the browser, packed; the product unpacks it once per environment into the temp folder
#   lib/          the system libraries that it needs and Lambda lacks
#   fonts/        the documents' typefaces with their licences, and fonts.conf
#   VERSION       of browser and typefaces, part of every PDF's cache key
#
# Needs node and npm on PATH, and a $PYTHON (else python3) that has backports.zstd. Does nothing when the folder is
# already up to date; never leaves half a folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
destination=${1:?usage: install.sh DESTINATION}
stamp=$(cat "$here/package-lock.json" "$here/fonts.conf" "$0" | cksum)

if [ -f "$destination/.stamp" ] && [ "$(cat "$destination/.stamp")" = "$stamp" ]; then
    exit 0
fi

mkdir -p "$(dirname -- "$destination")"
work=$(mktemp -d "$destination.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

echo "chromium: fetching the browser and the typefaces (160 MB)" >&2
cp "$here/package.json" "$here/package-lock.json" "$work/"
npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
package=$work/node_modules/@sparticuz/chromium

echo "chromium: laying it out" >&2
unpack() { # ARCHIVE.tar.br FOLDER
    mkdir -p "$2"
    node -e '
        const { createReadStream } = require("node:fs");
        const { createBrotliDecompress } = require("node:zlib");
        createReadStream(process.argv[1]).pipe(createBrotliDecompress()).pipe(process.stdout);
    ' "$1" | tar -x -C "$2" --no-same-owner
}
laid=$work/laid
mkdir "$laid"
# Packed anew: zstd takes 11 MB more than brotli, and unpacks three times as fast at every cold start; in four frames,
# for as many processors as there are.
node -e '
    const { createReadStream, createWriteStream } = require("node:fs");
    const { createBrotliDecompress } = require("node:zlib");
    require("node:stream").pipeline(
        createReadStream(process.argv[1]), createBrotliDecompress(), createWriteStream(process.argv[2]),
        (error) => { if (error) throw error; },
    );
' "$package/bin/chromium.br" "$work/chromium"
"${PYTHON:-python3}" -c '
import sys
from pathlib import Path
from backports import zstd
options = {
    zstd.CompressionParameter.compression_level: 9,
    zstd.CompressionParameter.checksum_flag: 1,
    zstd.CompressionParameter.nb_workers: 2,
}
size = -(-Path(sys.argv[1]).stat().st_size // 4)
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    while part := source.read(size):
        target.write(zstd.compress(part, options=options))
' "$work/chromium" "$laid/chromium.zst"
unpack "$package/bin/al2023.tar.br" "$laid"

# Documents are set in Source Sans and Source Serif: Latin, Greek, Cyrillic. What they lack is lent by Noto in one
# weight; Noto's Chinese, Japanese and Korean were drawn to go with Source Sans.
mkdir "$laid/fonts"
typeface() { # PACKAGE WEIGHT…
    family=$work/node_modules/@expo-google-fonts/$1
    cp "$family/LICENSE_FONT" "$laid/fonts/LICENSE-$1"
    shift
    for weight; do
        cp "$family/$weight"/*.ttf "$laid/fonts/"
    done
}
typeface source-sans-3 400Regular 600SemiBold
typeface source-serif-4 400Regular 600SemiBold
typeface noto-sans-arabic 400Regular
typeface noto-sans-devanagari 400Regular
typeface noto-sans-hebrew 400Regular
typeface noto-sans-kr 400Regular
typeface noto-sans-sc 400Regular
typeface noto-sans-symbols 400Regular
typeface noto-sans-symbols-2 400Regular
typeface noto-sans-thai 400Regular
typeface noto-emoji 400Regular
cp "$here/fonts.conf" "$laid/fonts.conf"
cp "$package/LICENSE" "$laid/LICENSE"
printf '%s-%s\n' "$(node -p 'require(process.argv[1]).version' "$package/package.json")" "${stamp%% *}" > "$laid/VERSION"
printf '%s\n' "$stamp" > "$laid/.stamp"

rm -rf "$destination"
mv "$laid" "$destination"

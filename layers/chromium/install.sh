#!/bin/sh
# Lay the headless Chromium of package-lock.json out in a folder:  install.sh DESTINATION
#
#   chromium.br   the browser, packed; the product unpacks it once per environment into the temp folder
#   lib/          the system libraries that it needs and Lambda lacks
#   fonts/        the documents' typefaces, with fonts.conf
#   VERSION       the package's version, part of every PDF's cache key
#
# Needs node and npm on PATH. Does nothing when the folder is already up to date; never leaves half a folder.
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

echo "chromium: fetching the browser (66 MB)" >&2
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
mv "$package/bin/chromium.br" "$laid/chromium.br"
unpack "$package/bin/al2023.tar.br" "$laid"
unpack "$package/bin/fonts.tar.br" "$work/typefaces"
mv "$work/typefaces/fonts" "$laid/fonts"
cp "$here/fonts.conf" "$laid/fonts.conf"
cp "$package/LICENSE" "$laid/LICENSE"
node -p 'require(process.argv[1]).version' "$package/package.json" > "$laid/VERSION"
printf '%s\n' "$stamp" > "$laid/.stamp"

rm -rf "$destination"
mv "$laid" "$destination"

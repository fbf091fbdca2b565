// Answers with an object: conditional requests, ranges, download names.
import { Readable } from 'node:stream'
import { read } from './bytes.mjs'
import { invalidRange } from './storage_errors.mjs'

/** The answer to GET or HEAD for a row of storage.objects; `expires` for signed URLs. */
export function download(request, url, { version, metadata }, expires) {
  const { size, eTag, lastModified } = metadata
  if (isKnown(request.headers, eTag, lastModified)) return new Response(null, { status: 304, headers: { etag: eTag } })
  // (k) lite ignores Range.
  const range = parseRange(request.headers.get('range'), size)
  const [start, end] = range ?? [0, size - 1]
  const headers = new Headers({
    'accept-ranges': 'bytes',
    // A stored HTML page must never run in a browser.
    'content-type': metadata.mimetype.includes('text/html') ? 'text/plain' : metadata.mimetype,
    etag: eTag,
    'content-length': String(end - start + 1),
    'last-modified': new Date(lastModified).toUTCString(),
    ...(expires ? { expires: expires.toUTCString() } : { 'cache-control': metadata.cacheControl }),
  })
  if (range) headers.set('content-range', `bytes ${start}-${end}/${size}`)
  setDisposition(headers, url.searchParams.get('download'))
  const empty = request.method === 'HEAD' || size === 0
  const body = empty ? null : Readable.toWeb(read(version, start, end))
  return new Response(body, { status: range ? 206 : 200, headers })
}

function isKnown(headers, eTag, lastModified) {
  const known = headers.get('if-none-match')
  if (known) return known === eTag
  const since = headers.get('if-modified-since')
  return Boolean(since) && Math.floor(Date.parse(lastModified) / 1000) * 1000 <= Date.parse(since)
}

/** [first, last] of `bytes=a-b`, `bytes=a-` or `bytes=-n`; null if the whole is asked for. */
function parseRange(header, size) {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (from === undefined || (from === '' && to === '')) return null
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (start > end) throw invalidRange()
  return [start, end]
}

// (k) lite ignores `download`: the browser saves under the given name, or under the object's own if it is empty.
function setDisposition(headers, name) {
  if (name === null) return
  const encoded = encodeURIComponent(name)
  const value = name === '' ? 'attachment;' : `attachment; filename=${encoded}; filename*=UTF-8''${encoded};`
  headers.set('content-disposition', value)
}

// The body of an upload, multipart or bare, streamed to disk in bounded memory.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import Busboy from '@fastify/busboy'
import { discard, store } from './bytes.mjs'
import { settings } from './settings.mjs'
import { invalidRequest, invalidType, tooLarge } from './storage_errors.mjs'

/**
 * Receive the object of `request` under the limits of its bucket.
 * Returns {version, metadata, userMetadata}; nothing stays on disk when it rejects.
 */
export async function receive(request, bucket) {
  const limit = Math.min(Number(bucket.file_size_limit ?? Infinity), settings.fileSizeLimit)
  const body = request.body ? Readable.fromWeb(request.body) : Readable.from([])
  const type = request.headers.get('content-type') ?? 'application/octet-stream'
  const upload = await (type.startsWith('multipart/form-data')
    ? receiveForm(body, type, limit)
    : receiveBare(body, type, request.headers, limit))
  try {
    if (!upload.stored) throw invalidRequest('No content provided')
    if (upload.stored.exceeded) throw tooLarge()
    mustBeAllowed(upload.mimetype, bucket.allowed_mime_types)
  } catch (refusal) {
    await discard([upload.stored?.version])
    throw refusal
  }
  return described(upload)
}

async function receiveBare(body, mimetype, headers, limit) {
  return {
    stored: await store(body, limit),
    mimetype,
    cacheControl: headers.get('cache-control') ?? 'no-cache',
    userMetadata: parsed(Buffer.from(headers.get('x-metadata') ?? '', 'base64').toString('utf8')),
  }
}

async function receiveForm(body, type, limit) {
  const fields = {}
  let file
  const onFile = (_name, stream, _filename, _encoding, mimetype) => {
    file = { mimetype, stream, storing: store(stream, limit) }
    file.storing.catch(() => {}) // awaited below, after the form has ended
  }
  try {
    const form = new Busboy({ headers: { 'content-type': type }, limits: { fields: 10, files: 1 } })
    form.on('field', (name, value) => (fields[name] = value))
    form.on('file', onFile)
    await pipeline(body, form)
  } catch (error) {
    // An aborted request ends the form, but not the file within it.
    file?.stream.destroy(error)
    await file?.storing.catch(() => {})
    body.resume()
    throw error.code === 'ECONNRESET' ? error : invalidRequest(error.message)
  }
  return {
    stored: await file?.storing,
    mimetype: fields.contentType || file?.mimetype,
    cacheControl: fields.cacheControl ? `max-age=${fields.cacheControl}` : 'no-cache',
    userMetadata: parsed(fields.metadata ?? fields.userMetadata ?? ''),
  }
}

function described({ stored: { version, size, eTag }, mimetype, cacheControl, userMetadata }) {
  const lastModified = new Date().toISOString()
  const metadata = { eTag, size, mimetype, cacheControl, lastModified, contentLength: size, httpStatusCode: 200 }
  return { version, metadata, userMetadata }
}

function mustBeAllowed(mimetype, allowed) {
  if (!allowed?.length) return
  const plain = String(mimetype).split(';')[0].trim()
  const family = `${plain.split('/')[0]}/*`
  if (!allowed.includes(plain) && !allowed.includes(family)) throw invalidType(mimetype)
}

/** Metadata that cannot be read is left out, as hosted does. */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

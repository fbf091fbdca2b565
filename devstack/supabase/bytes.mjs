// Object bytes on disk, one file for each version of an object; a version is never changed.
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { link, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { settings } from './settings.mjs'

const pathOf = (version) => join(settings.objectsDir, version.slice(0, 2), version)

async function roomFor(version) {
  const path = pathOf(version)
  await mkdir(dirname(path), { recursive: true })
  return path
}

/**
 * Stream `source` into a new version; at most `limit` bytes are written, the rest is read and dropped.
 * Returns {version, size, eTag, exceeded}.
 */
export async function store(source, limit) {
  const version = randomUUID()
  const hash = createHash('md5')
  let size = 0
  const measure = new Transform({
    transform(chunk, _encoding, done) {
      size += chunk.length
      // Answering in the middle would reset the connection, and the client would never read the answer.
      if (size > limit) return done()
      hash.update(chunk)
      done(null, chunk)
    },
  })
  try {
    await pipeline(source, measure, createWriteStream(await roomFor(version)))
  } catch (error) {
    await discard([version])
    throw error
  }
  return { version, size, eTag: `"${hash.digest('hex')}"`, exceeded: size > limit }
}

/** Link a new version to the same bytes on disk. Returns the new version. */
export async function duplicate(version) {
  const copy = randomUUID()
  await link(pathOf(version), await roomFor(copy))
  return copy
}

/** The bytes from `start` to `end`, both included. */
export const read = (version, start, end) => createReadStream(pathOf(version), { start, end })

export async function discard(versions) {
  await Promise.all(versions.filter(Boolean).map((version) => rm(pathOf(version), { force: true })))
}

// Storage, in place of lite's: that one keeps whole bodies in memory and knows neither ranges, download names,
// key rules, folders in lists, user metadata nor (b) Supabase's names in signed-URL answers.
import { createBucket, deleteBucket, emptyBucket, getBucket, listBuckets, updateBucket } from './buckets.mjs'
import { download } from './downloads.mjs'
import {
  complete, copyObject, findAnyObject, findBucket, findObject, listFolder, mayUpload, moveObject, mustBeValidKey,
  removeObjects,
} from './objects.mjs' // prettier-ignore
import {
  StorageError, accessDenied, bucketNotFound, fromDatabase, invalidRequest, invalidToken, objectNotFound,
  signatureMismatch,
} from './storage_errors.mjs' // prettier-ignore
import { identify, signWithSecret, verify } from './tokens.mjs'
import { receive } from './uploads.mjs'

const UPLOAD_URL_SECONDS = 2 * 60 * 60 // hosted's fixed lifetime of a signed upload URL

// The first pattern that matches wins. `bucket` has no slash, `key` may have many.
const ROUTES = [
  ['GET', '/bucket', ({ caller }) => listBuckets(caller)],
  ['POST', '/bucket', async ({ caller, json }) => createBucket(caller, await json())],
  ['GET', '/bucket/:bucket', ({ caller, bucket }) => getBucket(caller, bucket)],
  ['PUT', '/bucket/:bucket', async ({ caller, bucket, json }) => updateBucket(caller, bucket, await json())],
  ['DELETE', '/bucket/:bucket', ({ caller, bucket }) => deleteBucket(caller, bucket)],
  ['POST', '/bucket/:bucket/empty', ({ caller, bucket }) => emptyBucket(caller, bucket)],
  ['POST', '/object/list/:bucket', async ({ caller, bucket, json }) => listFolder(caller, bucket, await json())],
  ['POST', '/object/copy', copy],
  ['POST', '/object/move', move],
  ['POST', '/object/upload/sign/:bucket/:key', signUpload],
  ['PUT', '/object/upload/sign/:bucket/:key', uploadSigned],
  ['POST', '/object/sign/:bucket', signMany],
  ['POST', '/object/sign/:bucket/:key', signOne],
  ['GET', '/object/sign/:bucket/:key', downloadSigned],
  ['GET', '/object/public/:bucket/:key', downloadPublic],
  ['GET', '/object/info/authenticated/:bucket/:key', info],
  ['GET', '/object/info/:bucket/:key', info],
  ['GET', '/object/authenticated/:bucket/:key', downloadOwn],
  ['GET', '/object/:bucket/:key', downloadOwn],
  ['POST', '/object/:bucket/:key', upload],
  ['PUT', '/object/:bucket/:key', upload],
  ['DELETE', '/object/:bucket', removeMany],
  ['DELETE', '/object/:bucket/:key', removeOne],
].map(([method, pattern, serve]) => ({ method, path: matcher(pattern), serve }))

function matcher(pattern) {
  const source = pattern.replace(':bucket', '(?<bucket>[^/]+)').replace(':key', '(?<key>.+)')
  return new RegExp(`^${source}$`)
}

/** Serve one request below /storage/v1. */
export async function storage(request) {
  const url = new URL(request.url)
  const path = decodeURIComponent(url.pathname.slice('/storage/v1'.length))
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const route = ROUTES.find((each) => each.method === method && each.path.test(path))
  try {
    if (!route) throw new StorageError(404, 'Not Found', `Route ${method}:${path} not found`)
    const caller = await identify(request).catch((error) => {
      throw accessDenied(error.message)
    })
    const call = { request, url, caller, ...route.path.exec(path).groups, json: () => jsonOf(request) }
    const answer = await route.serve(call)
    return answer instanceof Response ? answer : Response.json(answer)
  } catch (error) {
    const refusal = error instanceof StorageError ? error : fromDatabase(error)
    if (!refusal) throw error
    await drain(request)
    return refusal.toResponse()
  }
}

/** Read the rest of the body: answering before the client has sent it all would break the connection. */
async function drain(request) {
  if (request.body && !request.body.locked) await request.body.pipeTo(new WritableStream())
}

async function jsonOf(request) {
  try {
    return await request.json()
  } catch {
    throw invalidRequest('Body is not valid JSON')
  }
}

async function upload({ request, caller, bucket: id, key }) {
  mustBeValidKey(key)
  const bucket = await findBucket(id)
  const upsert = request.method === 'PUT' || request.headers.get('x-upsert') === 'true'
  await mayUpload(caller, id, key, upsert)
  const object = await complete(id, key, caller.user, await receive(request, bucket))
  return { Id: object.id, Key: `${id}/${key}` }
}

async function signUpload({ request, caller, bucket, key }) {
  mustBeValidKey(key)
  const upsert = request.headers.get('x-upsert') === 'true'
  await mayUpload(caller, bucket, key, upsert)
  const token = await sign({ url: `${bucket}/${key}`, upsert, owner: caller.user }, UPLOAD_URL_SECONDS)
  return { url: `/object/upload/sign/${bucket}/${key}?token=${token}`, token }
}

async function uploadSigned({ request, url, bucket: id, key }) {
  const { upsert, owner } = await signed(url, id, key)
  mustBeValidKey(key)
  const bucket = await findBucket(id)
  const anyone = { role: 'supabase_storage_admin', user: owner }
  await mayUpload(anyone, id, key, upsert)
  await complete(id, key, owner, await receive(request, bucket))
  return { Key: `${id}/${key}` }
}

async function signOne({ caller, bucket, key, json }) {
  const expiresIn = seconds(await json())
  await findObject(caller, bucket, key)
  return { signedURL: await signedUrl(bucket, key, expiresIn) }
}

async function signMany({ caller, bucket, json }) {
  const asked = await json()
  const expiresIn = seconds(asked)
  if (!Array.isArray(asked.paths)) throw invalidRequest("body must have required property 'paths'")
  const one = async (path) => {
    try {
      await findObject(caller, bucket, path)
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      return { error: 'Either the object does not exist or you do not have access to it', path, signedURL: null }
    }
    return { error: null, path, signedURL: await signedUrl(bucket, path, expiresIn) }
  }
  return Promise.all(asked.paths.map(one))
}

function seconds({ expiresIn }) {
  if (!(Number(expiresIn) >= 1)) throw invalidRequest('body/expiresIn must be >= 1')
  return Number(expiresIn)
}

async function signedUrl(bucket, key, expiresIn) {
  return `/object/sign/${bucket}/${key}?token=${await sign({ url: `${bucket}/${key}` }, expiresIn)}`
}

function sign(claims, lifeSeconds) {
  const now = Math.floor(Date.now() / 1000)
  return signWithSecret({ ...claims, iat: now, exp: now + lifeSeconds })
}

async function signed(url, bucket, key) {
  const token = url.searchParams.get('token')
  if (!token) throw invalidRequest("querystring must have required property 'token'")
  const claims = await verify(token).catch((error) => {
    throw invalidToken(error.message)
  })
  if (claims.url !== `${bucket}/${key}`) throw signatureMismatch()
  return claims
}

async function downloadSigned({ request, url, bucket, key }) {
  const { exp, upsert } = await signed(url, bucket, key)
  if (upsert !== undefined) throw signatureMismatch() // an upload URL does not allow reading
  return download(request, url, await findAnyObject(bucket, key), new Date(exp * 1000))
}

async function downloadPublic({ request, url, bucket: id, key }) {
  const bucket = await findBucket(id)
  if (!bucket.public) throw bucketNotFound()
  return download(request, url, await findAnyObject(id, key))
}

async function downloadOwn({ request, url, caller, bucket, key }) {
  return download(request, url, await findObject(caller, bucket, key))
}

async function info({ caller, bucket, key }) {
  const object = await findObject(caller, bucket, key)
  const { id, name, version, bucket_id, metadata, user_metadata, updated_at, created_at } = object
  return {
    id,
    name,
    version,
    bucket_id,
    size: metadata?.size ?? null,
    content_type: metadata?.mimetype ?? null,
    cache_control: metadata?.cacheControl ?? null,
    etag: metadata?.eTag ?? null,
    metadata: user_metadata,
    last_modified: updated_at,
    created_at,
  }
}

async function copy({ request, caller, json }) {
  const { bucketId, sourceKey, destinationBucket, destinationKey, metadata, copyMetadata = true } = await json()
  const userMetadata = request.headers.get('x-metadata')
  const to = { bucket: destinationBucket || bucketId, key: destinationKey }
  const object = await copyObject(caller, { bucket: bucketId, key: sourceKey }, to, {
    upsert: request.headers.get('x-upsert') === 'true',
    copyMetadata,
    metadata,
    userMetadata: userMetadata ? JSON.parse(Buffer.from(userMetadata, 'base64')) : null,
  })
  return { Id: object.id, Key: `${to.bucket}/${to.key}`, ...object }
}

async function move({ caller, json }) {
  const { bucketId, sourceKey, destinationBucket, destinationKey } = await json()
  const to = { bucket: destinationBucket || bucketId, key: destinationKey }
  const { id } = await moveObject(caller, { bucket: bucketId, key: sourceKey }, to)
  return { message: 'Successfully moved', Id: id, Key: `${to.bucket}/${to.key}` }
}

async function removeMany({ caller, bucket, json }) {
  const { prefixes } = await json()
  if (!Array.isArray(prefixes) || !prefixes.length) throw invalidRequest('body/prefixes must NOT have fewer than 1 items')
  if (prefixes.length > 1000) throw invalidRequest('body/prefixes must NOT have more than 1000 items')
  return removeObjects(caller, bucket, prefixes)
}

async function removeOne({ caller, bucket, key }) {
  const [gone] = await removeObjects(caller, bucket, [key])
  if (!gone) throw objectNotFound()
  return { message: 'Successfully deleted' }
}

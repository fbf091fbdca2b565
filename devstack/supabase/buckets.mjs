// Buckets, in the caller's role.
import { discard } from './bytes.mjs'
import { asRole, storageDb } from './database.mjs'
import { StorageError, bucketNotFound, invalidRequest, notEmpty } from './storage_errors.mjs'

const NAME = /^[\w!\-.*'() &$@=;:+,?]{1,63}$/
const UNITS = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9 }

// Hosted answers an empty text for a bucket that the secret key made.
const shown = (bucket) => ({ ...bucket, owner: bucket.owner ?? '', owner_id: bucket.owner_id ?? '' })

const from = (db) => db.withSchema('storage').selectFrom('buckets').selectAll()

export async function listBuckets(caller) {
  const buckets = await asRole(caller, (db) => from(db).orderBy('name').execute())
  return buckets.map(shown)
}

export async function getBucket(caller, id) {
  const bucket = await asRole(caller, (db) => from(db).where('id', '=', id).executeTakeFirst())
  if (!bucket) throw bucketNotFound()
  return shown(bucket)
}

export async function createBucket(caller, { id, name, ...wanted }) {
  const bucket = id ?? name
  if (!NAME.test(bucket ?? '')) throw new StorageError(400, 'Invalid Input', 'Bucket name invalid')
  const row = { id: bucket, name: name ?? bucket, owner: caller.user, owner_id: caller.user, ...columns(wanted) }
  await asRole(caller, (db) => db.withSchema('storage').insertInto('buckets').values(row).execute())
  return { name: row.name }
}

export async function updateBucket(caller, id, wanted) {
  const change = { ...columns(wanted), updated_at: new Date().toISOString() }
  const { numUpdatedRows } = await asRole(caller, (db) =>
    db.withSchema('storage').updateTable('buckets').set(change).where('id', '=', id).executeTakeFirst(),
  )
  if (!numUpdatedRows) throw bucketNotFound()
  return { message: 'Successfully updated' }
}

export async function deleteBucket(caller, id) {
  await getBucket(caller, id)
  const objects = storageDb.withSchema('storage').selectFrom('objects').select('id').where('bucket_id', '=', id)
  if (await objects.limit(1).executeTakeFirst()) throw notEmpty()
  await asRole(caller, (db) => db.withSchema('storage').deleteFrom('buckets').where('id', '=', id).execute())
  return { message: 'Successfully deleted' }
}

export async function emptyBucket(caller, id) {
  await getBucket(caller, id)
  const rows = await asRole(caller, (db) =>
    db.withSchema('storage').deleteFrom('objects').where('bucket_id', '=', id).returning('version').execute(),
  )
  await discard(rows.map(({ version }) => version))
  return { message: 'Successfully emptied' }
}

function columns({ public: isPublic, file_size_limit: limit, allowed_mime_types: types }) {
  const all = { public: isPublic, file_size_limit: limit == null ? limit : bytes(limit), allowed_mime_types: types }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

function bytes(limit) {
  if (Number.isFinite(Number(limit))) return Number(limit)
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(GB|MB|KB|B)$/i.exec(limit) ?? []
  if (!unit) throw invalidRequest('Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B')
  return amount * UNITS[unit.toUpperCase()]
}

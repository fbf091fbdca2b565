// Rows of storage.objects. PostgreSQL decides what a caller may do, in the caller's role.
import { sql } from 'kysely'
import { discard, duplicate } from './bytes.mjs'
import { asRole, storageDb } from './database.mjs'
import { alreadyExists, bucketNotFound, invalidKey, objectNotFound } from './storage_errors.mjs'

// (k) Hosted takes only characters that S3 calls safe; `\w` is ASCII here as there.
const KEY = /^[\w/!\-.*'() &$@=;:+,?]+$/

class RolledBack extends Error {}

export function mustBeValidKey(key) {
  if (!KEY.test(key)) throw invalidKey(key)
}

const objects = (db) => db.withSchema('storage').selectFrom('objects')
const at = (bucket, key) => (where) => where.and({ bucket_id: bucket, name: key })

export async function findBucket(id) {
  const buckets = storageDb.withSchema('storage').selectFrom('buckets')
  const bucket = await buckets.selectAll().where('id', '=', id).executeTakeFirst()
  if (!bucket) throw bucketNotFound()
  return bucket
}

/** The object, if `caller` may see it. */
export async function findObject(caller, bucket, key) {
  const object = await asRole(caller, (db) => objects(db).selectAll().where(at(bucket, key)).executeTakeFirst())
  if (!object) throw objectNotFound()
  return object
}

/** The object without a check of the caller: for signed and public URLs. */
export const findAnyObject = (bucket, key) => findObject({ role: 'supabase_storage_admin' }, bucket, key)

/** Try the INSERT in the caller's role and roll it back; rejects if the caller may not upload. */
export async function mayUpload(caller, bucket, key, upsert) {
  const row = { bucket_id: bucket, name: key, owner: caller.user, owner_id: caller.user, version: '1' }
  const attempt = asRole(caller, async (db) => {
    await insert(db, row, upsert).execute()
    throw new RolledBack()
  })
  await attempt.catch((error) => {
    if (!(error instanceof RolledBack)) throw error
  })
}

function insert(db, row, upsert) {
  const query = db.withSchema('storage').insertInto('objects').values(row)
  return upsert ? query.onConflict((on) => on.columns(['bucket_id', 'name']).doUpdateSet(row)) : query
}

/** Write the row of an upload that is on disk, and delete the bytes that it replaces. Returns the row. */
export async function complete(bucket, key, owner, { version, metadata, userMetadata }) {
  const row = { bucket_id: bucket, name: key, owner, owner_id: owner, version, metadata, user_metadata: userMetadata }
  try {
    const { replaced, object } = await storageDb.transaction().execute(async (db) => {
      const old = await objects(db).select('version').where(at(bucket, key)).forUpdate().executeTakeFirst()
      const object = await insert(db, row, true).returningAll().executeTakeFirstOrThrow()
      return { replaced: old?.version, object }
    })
    await discard([replaced])
    return object
  } catch (error) {
    await discard([version])
    throw error
  }
}

/** Copy to another key or bucket. Returns the new row. */
export async function copyObject(caller, from, to, { upsert, copyMetadata, metadata, userMetadata }) {
  mustBeValidKey(to.key)
  const source = await findObject(caller, from.bucket, from.key)
  await mayUpload(caller, to.bucket, to.key, upsert)
  return complete(to.bucket, to.key, caller.user, {
    version: await duplicate(source.version),
    metadata: { ...source.metadata, ...(copyMetadata ? {} : metadata), lastModified: new Date().toISOString() },
    userMetadata: copyMetadata ? source.user_metadata : userMetadata,
  })
}

export async function moveObject(caller, from, to) {
  mustBeValidKey(to.key)
  const moved = await asRole(caller, async (db) => {
    const taken = await objects(db).select('id').where(at(to.bucket, to.key)).executeTakeFirst()
    if (taken && (from.bucket !== to.bucket || from.key !== to.key)) throw alreadyExists()
    const change = db.withSchema('storage').updateTable('objects').set({ bucket_id: to.bucket, name: to.key })
    return change.where(at(from.bucket, from.key)).returning('id').executeTakeFirst()
  })
  if (!moved) throw objectNotFound()
  return moved
}

/** Delete what the caller may delete; missing keys are no error. Returns the deleted rows. */
export async function removeObjects(caller, bucket, keys) {
  const rows = await asRole(caller, (db) => {
    const removal = db.withSchema('storage').deleteFrom('objects').where('bucket_id', '=', bucket)
    return removal.where('name', 'in', keys).returningAll().execute()
  })
  await discard(rows.map(({ version }) => version))
  return rows
}

const ORDERS = new Set(['name', 'created_at', 'updated_at', 'last_accessed_at'])

/**
 * (d) The entries of one folder, folders first: names relative to it, nothing but the name for a folder.
 * lite answers every object below the prefix, with its full path.
 */
export async function listFolder(caller, bucket, { prefix = '', search = '', limit = 100, offset = 0, sortBy = {} }) {
  const folder = prefix && !prefix.endsWith('/') ? `${prefix}/` : prefix
  const start = folder + (search ?? '')
  const level = start.split('/').length
  const column = sql.ref(ORDERS.has(sortBy.column) ? sortBy.column : 'name')
  const direction = String(sortBy.order).toLowerCase() === 'desc' ? sql`desc` : sql`asc`
  const entry = sql`path_tokens[${sql.lit(level)}]`
  const below = sql`bucket_id = ${bucket} and starts_with(lower(name), lower(${start}))`
  const query = sql`
    (select ${entry} as name, null::uuid as id, null::timestamptz as updated_at,
        null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
      from storage.objects where ${below} and cardinality(path_tokens) > ${level}
      group by 1 order by 1 ${direction})
    union all
    (select ${entry}, id, updated_at, created_at, last_accessed_at, metadata
      from storage.objects where ${below} and cardinality(path_tokens) = ${level}
      order by ${column} ${direction})
    limit ${Number(limit)} offset ${Number(offset)}`
  const { rows } = await asRole(caller, (db) => query.execute(db))
  return rows
}

// Connections to PostgreSQL: each part of the API logs in with the role that it has on hosted Supabase.
import { setTimeout as sleep } from 'node:timers/promises'
import { createPostgresConnection } from '@supabase/lite/postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { settings } from './settings.mjs'
import { asPostgrest } from './sqlstate.mjs'
import { learnArrays, types } from './types.mjs'

function urlAs(role) {
  const url = new URL(settings.databaseUrl)
  url.username = role
  return url.href
}

function connect(role, max) {
  const pool = new pg.Pool({ connectionString: urlAs(role), max, types, connectionTimeoutMillis: 10_000 })
  // A lost connection fails its call and is replaced; without a listener, its error event would end the process.
  const lost = ({ message }) => console.error(`A connection of ${role} was lost: ${message}`)
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', lost))
  return new Kysely({ dialect: new PostgresDialect({ pool }) })
}

/**
 * lite's connection, on node-postgres: its own driver ends the whole process when the database stops in the
 * middle of a call.
 */
const LiteConnection = createPostgresConnection({ url: settings.databaseUrl }).constructor

class Connection extends LiteConnection {
  constructor(role, max) {
    super({ url: settings.databaseUrl })
    this.kysely = connect(role, max)
  }
}

/** Of the Auth service: `supabase_auth_admin`, so that a trigger on auth.users has only its rights. */
export const authConnection = new Connection('supabase_auth_admin', 10)

/** Of the Storage service: the owner of schema storage, who may become any API role. */
export const storageDb = connect('supabase_storage_admin', 10)

const catalogue = new Connection('supabase_admin', 2)

/** What PostgREST is on hosted: logs in as `authenticator`, and becomes the caller's role for one transaction. */
class RestConnection extends Connection {
  #roleSettings = new Map()

  introspect(options) {
    // authenticator itself has no rights on the schema.
    return catalogue.introspect(options)
  }

  async reload() {
    await catalogue.clearSchemaCache()
    await learnArrays(catalogue.kysely)
    const { rows } = await sql`
      select rolname, setting from pg_roles, unnest(rolconfig) setting
      where pg_has_role('authenticator', oid, 'MEMBER')`.execute(catalogue.kysely)
    this.#roleSettings = new Map()
    for (const { rolname, setting } of rows) {
      if (rolname === 'authenticator') continue
      const [name, value] = setting.split(/=(.*)/s)
      this.#roleSettings.set(rolname, [...(this.#roleSettings.get(rolname) ?? []), [name, value]])
    }
    await catalogue.introspect({ useCache: true })
  }

  // (i) lite would grant the API roles all tables of every schema with row level security: the grants of the
  // migrations must be what counts, so nothing is granted here.
  async ensureRlsContext() {
    return true
  }

  // (h) Without a role's settings there is no statement timeout. authenticator's own (8 s, and the lock timeout)
  // come with its login; those of the caller's role are laid over them, as PostgREST does.
  async applyJwtSessionContext(db, vars) {
    const role = vars.auth?.role || 'anon'
    const claims = vars.auth?.jwt ?? { role }
    await setLocally(db, [
      ...(this.#roleSettings.get(role) ?? []),
      ['request.jwt.claims', JSON.stringify(claims)],
      ['role', role],
    ])
  }

  async applyRpcRequestGucs(db, request) {
    await setLocally(db, [
      ['response.status', ''],
      ['response.headers', ''],
      ['request.method', request.method],
      ['request.path', request.path],
      ['request.headers', JSON.stringify(request.requestHeaders ?? {})],
    ])
  }

  // A text given for a json argument is a JSON string: lite would have PostgreSQL parse it.
  async onPostgrestAST(ast, vars) {
    const checked = await super.onPostgrestAST(ast, vars)
    if (checked.type !== 'rpc' || !checked.args || Array.isArray(checked.args)) return checked
    const { functions } = await this.introspect({ useCache: true })
    const named = functions.filter(({ schema, name }) => schema === (checked.schema ?? 'public') && name === checked.function)
    const isJson = (name) => named.some((each) => /^jsonb?$/.test(each.arg_types[each.arg_names.indexOf(name)]))
    const args = Object.entries(checked.args).map(([name, value]) =>
      typeof value === 'string' && isJson(name) ? [name, JSON.stringify(value)] : [name, value],
    )
    return { ...checked, args: Object.fromEntries(args) }
  }

  // (c) lite answers 500 `SUP` for most errors of the database; PostgREST keeps the SQLSTATE and maps the status.
  normalizeDbError(error) {
    return asPostgrest(error)
  }
}

/** Set parameters until the end of the transaction, in one round trip. */
export async function setLocally(db, pairs) {
  const calls = pairs.map(([name, value]) => sql`set_config(${name}, ${value}, true)`)
  await sql`select ${sql.join(calls)}`.execute(db)
}

export const restConnection = new RestConnection('authenticator', 20)

/** Load the schema now, and again whenever a migration says so (`notify pgrst, 'reload schema'`). */
export async function watchSchema() {
  let session = await listen()
  const watch = async () => {
    await session.ended
    await sleep(200)
    session = await listen().catch(() => ({ ended: null })) // the database is away
    return watch()
  }
  watch()
}

/** One session that reloads on each notice. Resolves once the schema has been read. */
async function listen() {
  const client = new pg.Client(urlAs('supabase_admin'))
  const ended = new Promise((resolve) => client.once('end', resolve))
  const reload = () => restConnection.reload().catch(({ message }) => console.error(`Schema: ${message}`))
  client.on('error', ({ message }) => console.error(`Schema: ${message}`))
  client.on('notification', reload)
  await client.connect()
  await client.query('listen pgrst')
  await reload()
  return { ended }
}

/** Run `work(db)` in one transaction as an API role, the caller's claims set as the policies expect them. */
export function asRole({ role, claims }, work) {
  return storageDb.transaction().execute(async (db) => {
    await setLocally(db, [
      ['request.jwt.claims', JSON.stringify(claims ?? { role })],
      ['storage.allow_delete_query', 'true'],
      ['role', role],
    ])
    return work(db)
  })
}

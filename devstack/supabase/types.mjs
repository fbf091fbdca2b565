// How values of the database become JSON, as PostgREST's do.
import { sql } from 'kysely'
import pg from 'pg'

// (a) @supabase/lite passes timestamps through as PostgreSQL prints them; Supabase answers ISO 8601.
const isoTimestamp = (text) => text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')

const parsers = new Map([
  [16, (text) => text === 't'],
  [20, Number],
  [21, Number],
  [23, Number],
  [26, Number],
  [114, JSON.parse],
  [700, Number],
  [701, Number],
  [1114, isoTimestamp],
  [1184, isoTimestamp],
  // (j) lite leaves `numeric` a text wherever 1.50 is not 1.5; PostgREST answers JSON numbers.
  [1700, Number],
  [3802, JSON.parse],
])

const asText = (text) => text

/** For node-postgres: everything that is not a number, boolean or JSON stays text. */
export const types = { getTypeParser: (oid) => parsers.get(oid) ?? asText }

/** Arrays have type numbers of their own, those of the project's enums included. */
export async function learnArrays(db) {
  const { rows } = await sql`select oid, typelem from pg_type where typcategory = 'A' and typelem <> 0`.execute(db)
  for (const { oid, typelem } of rows) {
    const element = parsers.get(typelem) ?? asText
    parsers.set(oid, (text) => pg.types.arrayParser.create(text, element).parse())
  }
}

// One port with the three services of a Supabase project that the product uses: /rest/v1, /auth/v1, /storage/v1.
import { createWriteStream } from 'node:fs'
import { createAdaptorServer } from '@hono/node-server'
import { auth } from './auth.mjs'
import { watchSchema } from './database.mjs'
import { rest } from './rest.mjs'
import { settings } from './settings.mjs'
import { storage } from './storage.mjs'

const SERVICES = { rest, auth, storage }
const accessLog = createWriteStream(settings.accessLog, { flags: 'a' })

async function fetch(request) {
  const response = await answer(request)
  accessLog.write(`${request.method} ${new URL(request.url).pathname} ${response.status}\n`)
  return response
}

async function answer(request) {
  const { pathname } = new URL(request.url)
  const serve = SERVICES[pathname.match(/^\/(\w+)\/v1(\/|$)/)?.[1]]
  if (!serve) return Response.json({ message: 'no Route matched with those values' }, { status: 404 })
  try {
    return await serve(request)
  } catch (error) {
    console.error(request.method, pathname, error)
    return Response.json({ message: 'An unexpected error occurred', code: 500 }, { status: 500 })
  }
}

await watchSchema()
const server = createAdaptorServer({ fetch })
// Clients keep connections open between calls; closing one early would look like a failing server.
server.keepAliveTimeout = 65_000
server.listen(settings.port, '127.0.0.1', () => console.log(`ready on ${settings.url}`))

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))

// The database API: lite's PostgREST on connections like hosted's.
import { App } from '@supabase/lite'
import { restConnection } from './database.mjs'
import { settings } from './settings.mjs'
import { translate } from './tokens.mjs'

const app = new App({
  connection: restConnection,
  project_id: 'local',
  api: { max_rows: settings.maxRows, schemas: ['public'] },
  auth: {
    enabled: true,
    jwt_secret: settings.jwtSecret,
    secret_key: settings.secretKey,
    publishable_key: settings.publishableKey,
  },
  storage: { enabled: false },
  studio: { enabled: false },
  options: { server: { middlewares: [withoutSessions], admin: false, disableStudio: true } },
})

// lite checks the user and session of a token; PostgREST does not: a token is valid until it expires.
async function withoutSessions(context, next) {
  const found = async () => ({})
  context.set('authService', { repo: { findUserById: found, findSessionById: found } })
  await next()
}

/** Serve one request below /rest/v1. */
export async function rest(request) {
  return app.fetch(await translate(request))
}

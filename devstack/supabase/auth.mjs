// Auth: lite's GoTrue with the differences from hosted corrected.
import { createHash, randomInt, randomUUID } from 'node:crypto'
import { App } from '@supabase/lite'
import bcrypt from 'bcryptjs'
import { sql } from 'kysely'
import { admin } from './admin.mjs'
import { authConnection } from './database.mjs'
import { mailer } from './mail.mjs'
import { settings } from './settings.mjs'
import { issueAccessToken, jwks, translate } from './tokens.mjs'

const app = new App({
  connection: authConnection,
  project_id: 'local',
  auth: {
    enabled: true,
    site_url: settings.siteUrl,
    jwt_secret: settings.jwtSecret,
    jwt_expiry: settings.jwtExpirySeconds,
    secret_key: settings.secretKey,
    publishable_key: settings.publishableKey,
    minimum_password_length: settings.minimumPasswordLength,
    enable_refresh_token_rotation: true,
    email: { enable_signup: true, enable_confirmations: settings.confirmEmail, otp_expiry: settings.mailExpirySeconds },
  },
  storage: { enabled: false },
  studio: { enabled: false },
  options: { server: { middlewares: [asHosted], admin: false, disableStudio: true } },
})
app._mailer = mailer

let AuthError

async function asHosted(context, next) {
  const lite = context.get('authService')
  // lite does not export its error class, and only instances of it keep their code on the way out.
  AuthError ??= await lite.recover('').catch((error) => error.constructor)
  const service = hosted(lite, context)
  context.set('authService', service)
  const { pathname } = new URL(context.req.url)
  // (e) lite has no admin user API.
  if (/^\/auth\/v1\/(admin\/|invite$)/.test(pathname)) return admin(context.req.raw, service)
  await next()
}

/** lite's service with the methods replaced in which hosted behaves differently. */
function hosted(lite, context) {
  return {
    __proto__: lite,

    refuse: (status, code, message) => new AuthError(status, code, message),

    // (l) Confirmation first: a known address gets an invented user, so that the answer does not reveal who has an account;
    // an unconfirmed one gets its mail again. lite answers 429 to both.
    async signUp(email, password, data) {
      const known = settings.confirmEmail && email ? await this.repo.findUserByEmail(String(email)) : null
      if (!known) return databaseErrors(() => super.signUp(email, password, data))
      this.assertPasswordStrong(String(password ?? ''))
      if (known.email_confirmed_at) return { user: inventedUser(known.email, data) }
      await this.mailConfirmation(known)
      return { user: await this.describe(known.id, 'signup') }
    },

    // (l) The password is checked before the confirmation; a banned user cannot log in.
    async signInWithPassword(email, password) {
      const user = email ? await this.repo.findUserByEmail(String(email)) : null
      if (user && !(await bcrypt.compare(String(password ?? ''), user.encrypted_password ?? '')))
        throw this.refuse(400, 'invalid_credentials', 'Invalid login credentials')
      refuseBanned(user)
      return super.signInWithPassword(email, password)
    },

    async refreshSession(token) {
      const known = token ? await this.repo.findRefreshToken(token) : null
      if (known) refuseBanned(await this.repo.findUserById(known.user_id))
      return super.refreshSession(token)
    },

    // Hosted ends a user's other sessions when the password changes.
    async updateUser(id, attributes) {
      const user = await super.updateUser(id, attributes)
      if (attributes.password !== undefined) await this.endSessions(id, context.get('sessionId'))
      return user
    },

    // Without a scope, hosted ends all sessions; lite only this one.
    signOut: (sessionId, scope, userId) => lite.signOut(sessionId, scope ?? 'global', userId),

    async recover(email) {
      const user = email ? await this.repo.findUserByEmail(String(email)) : null
      this.refuseTooSoon(user?.recovery_sent_at)
      return super.recover(email)
    },

    // lite refuses every second confirmation mail.
    async resend(type, email) {
      const user = type === 'signup' && email ? await this.repo.findUserByEmail(String(email)) : null
      if (!user) return super.resend(type, email)
      if (!user.email_confirmed_at) await this.mailConfirmation(user)
    },

    async mailConfirmation(user) {
      this.refuseTooSoon(user.confirmation_sent_at)
      const { code, hash } = newCode(user.email)
      await this.repo.updateUser(user.id, { confirmation_token: hash, confirmation_sent_at: new Date().toISOString() })
      await this.mailer.sendConfirmation(user.email, hash, code)
    },

    async endSessions(userId, exceptSession) {
      await this.repo.deleteRefreshTokensForUser(userId, exceptSession)
      await this.repo.deleteUserSessions(userId, exceptSession)
    },

    async describe(id, form = 'user') {
      const user = this.repo.parseUserJson(await this.repo.findUserById(id))
      return this.mapUserToResponse(user, await this.repo.findIdentitiesByUserId(id), form)
    },

    refuseTooSoon(sentAt) {
      const wait = Math.ceil((Date.parse(sentAt ?? 0) + settings.mailIntervalSeconds * 1000 - Date.now()) / 1000)
      if (sentAt && wait > 0)
        throw this.refuse(
          429,
          'over_email_send_rate_limit',
          `For security purposes, you can only request this after ${wait} seconds.`,
        )
    },
  }
}

/** A new six-digit code for `email`, and the hash under which it is stored and mailed. */
export function newCode(email) {
  const code = String(randomInt(1_000_000)).padStart(6, '0')
  return { code, hash: hashOf(email, code) }
}

const hashOf = (email, code) => createHash('sha256').update(email.toLowerCase() + code).digest('hex')

function refuseBanned(user) {
  if (user?.banned_until && Date.parse(user.banned_until) > Date.now())
    throw new AuthError(400, 'user_banned', 'User is banned')
}

/** (c) Where a trigger on auth.users raises, hosted answers 500 unexpected_failure with this message. */
export async function databaseErrors(work) {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AuthError) throw error
    console.error(error)
    throw new AuthError(500, 'unexpected_failure', 'Database error saving new user')
  }
}

function inventedUser(email, data) {
  const now = new Date().toISOString()
  return {
    id: randomUUID(),
    aud: 'authenticated',
    role: '',
    email,
    phone: '',
    confirmation_sent_at: now,
    app_metadata: { provider: 'email', providers: ['email'] },
    user_metadata: data ?? {},
    identities: [],
    created_at: now,
    updated_at: now,
    is_anonymous: false,
  }
}

/** Serve one request below /auth/v1. */
export async function auth(request) {
  const { pathname } = new URL(request.url)
  if (pathname === '/auth/v1/.well-known/jwks.json')
    return Response.json(jwks, { headers: { 'cache-control': 'public, max-age=600' } })
  const method = pathname.endsWith('/verify') ? 'otp' : 'password'
  const response = await app.fetch(await withKnownType(await translate(request), pathname))
  if (response.status === 303) return withIssuedToken(response)
  if (!response.headers.get('content-type')?.startsWith('application/json')) return response
  const body = withGoTimes(await response.json())
  if (body?.access_token) body.access_token = await issueAccessToken(body.access_token, body.user, method)
  const headers = new Headers(response.headers)
  headers.delete('content-length')
  return Response.json(body, { status: response.status, headers })
}

/** The redirect of a mailed link has the session in its fragment. */
async function withIssuedToken(response) {
  const location = new URL(response.headers.get('location'))
  const session = new URLSearchParams(location.hash.slice(1))
  const token = session.get('access_token')
  if (!token) return response
  const headers = { apikey: settings.publishableKey, authorization: `Bearer ${token}` }
  const user = await (await app.fetch(new Request(`${settings.url}/auth/v1/user`, { headers }))).json()
  session.set('access_token', await issueAccessToken(token, withGoTimes(user), 'otp'))
  location.hash = session.toString()
  return new Response(null, { status: 303, headers: { location: location.href } })
}

/** lite refuses the types `email` and `invite`, which hosted documents: replace them by the types that lite knows. */
async function withKnownType(request, pathname) {
  if (request.method !== 'POST' || pathname !== '/auth/v1/verify') return request
  let text = await request.text()
  try {
    const asked = JSON.parse(text)
    text = JSON.stringify({ ...asked, type: await knownType(asked) })
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error // lite answers unreadable JSON itself
  }
  return new Request(request.url, { method: 'POST', headers: request.headers, body: text })
}

async function knownType({ type, token_hash: hash, email, token }) {
  if (type === 'invite') return 'signup'
  if (type !== 'email') return type
  const { rows } = await sql`
    select from auth.users where confirmation_token = ${hash || hashOf(String(email), String(token))}
  `.execute(authConnection.kysely)
  return rows.length ? 'signup' : 'magiclink'
}

/** (a) Auth prints UTC as `Z`. */
function withGoTimes(value) {
  if (typeof value === 'string') return value.replace(/^(\d{4}-\d\d-\d\dT[\d:.]+)\+00:00$/, '$1Z')
  if (Array.isArray(value)) return value.map(withGoTimes)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withGoTimes(each)]))
}

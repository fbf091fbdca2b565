// (e) The admin user API, which lite does not have: /auth/v1/admin/users, /admin/generate_link and /invite.
import { randomBytes, randomUUID } from 'node:crypto'
import bcrypt from 'bcryptjs'
import { databaseErrors, newCode } from './auth.mjs'
import { settings } from './settings.mjs'
import { bearerOf, identify } from './tokens.mjs'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/
const DURATION = /^(\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+$/
const MILLISECONDS = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Answer one admin request with `service`, lite's Auth service of this request. */
export async function admin(request, service) {
  try {
    await mustBeService(request, service)
    return await route(request, service)
  } catch (error) {
    if (!error.toJSON || !error.status) throw error
    return Response.json(error.toJSON(), { status: error.status, headers: { 'x-sb-error-code': error.code } })
  }
}

async function mustBeService(request, service) {
  if (!request.headers.get('apikey') && !bearerOf(request.headers))
    throw service.refuse(401, 'no_authorization', 'This endpoint requires a valid Bearer token')
  const caller = await identify(request).catch(() => {
    throw service.refuse(403, 'bad_jwt', 'invalid JWT: unable to parse or verify signature')
  })
  if (caller.role !== 'service_role') throw service.refuse(403, 'not_admin', 'User not allowed')
}

async function route(request, service) {
  const { pathname, searchParams } = new URL(request.url)
  const path = pathname.replace('/auth/v1/', '')
  const call = `${request.method} ${path.replace(/^admin\/users\/.+/, 'admin/users/:id')}`
  const body = async () => JSON.parse((await request.text()) || '{}')
  const user = () => find(service, path.split('/').at(-1))
  switch (call) {
    case 'GET admin/users':
      return list(service, searchParams)
    case 'POST admin/users':
      return Response.json(await create(service, await body()))
    case 'GET admin/users/:id':
      return Response.json(await describe(service, await user()))
    case 'PUT admin/users/:id':
      return Response.json(await update(service, await user(), await body()))
    case 'DELETE admin/users/:id':
      return Response.json(await remove(service, await user(), await body()))
    case 'POST admin/generate_link':
      return Response.json(await generateLink(service, await body()))
    case 'POST invite':
      return Response.json(await invite(service, await body()))
    default:
      throw service.refuse(404, 'not_found', '404 page not found')
  }
}

async function find(service, id) {
  if (!UUID.test(id)) throw service.refuse(404, 'validation_failed', 'user_id must be an UUID')
  const user = await service.repo.findUserById(id)
  if (!user) throw service.refuse(404, 'user_not_found', 'User not found')
  return user
}

async function describe(service, { id }) {
  const user = await service.repo.findUserById(id)
  const { banned_until, invited_at, deleted_at } = user
  const known = Object.entries({ banned_until, invited_at, deleted_at }).filter(([, value]) => value)
  return { ...(await service.describe(id)), ...Object.fromEntries(known) }
}

async function list(service, searchParams) {
  const page = Number(searchParams.get('page') || 1)
  const perPage = Number(searchParams.get('per_page') || 50)
  if (!(page >= 1 && perPage >= 1)) throw service.refuse(400, 'validation_failed', 'Bad Pagination Parameters')
  const rows = await service.repo
    .table('users')
    .select(['id'])
    .orderBy('created_at', 'desc')
    .limit(perPage)
    .offset((page - 1) * perPage)
    .execute()
  const { count } = await service.repo.table('users').select(({ fn }) => fn.countAll().as('count')).executeTakeFirst()
  const users = await Promise.all(rows.map((row) => describe(service, row)))
  return Response.json({ users, aud: 'authenticated' }, { headers: { 'x-total-count': String(count) } })
}

async function create(service, params) {
  if (!params.email) throw service.refuse(400, 'validation_failed', 'Cannot create a user without either an email or phone')
  const email = validEmail(service, params.email)
  await mustBeFree(service, email)
  if (params.password) service.assertPasswordStrong(params.password)
  const id = params.id ?? randomUUID()
  const password = params.password || randomBytes(32).toString('base64')
  await databaseErrors(() =>
    newUser(service, id, {
      email,
      role: params.role,
      encrypted_password: params.password_hash ?? bcrypt.hashSync(password, settings.passwordCost),
      confirmed_at: params.email_confirm ? new Date().toISOString() : null,
      raw_user_meta_data: { ...params.user_metadata, email_verified: Boolean(params.email_confirm) },
      raw_app_meta_data: { provider: 'email', providers: ['email'], ...params.app_metadata },
    }),
  )
  if (params.ban_duration) await service.repo.updateUser(id, { banned_until: banEnd(service, params.ban_duration) })
  return describe(service, { id })
}

/** The user's row and its e-mail identity. */
async function newUser(service, id, row) {
  await service.repo.createUser({ id, ...row })
  await service.repo.createIdentity({
    id: randomUUID(),
    provider: 'email',
    provider_id: id,
    user_id: id,
    identity_data: { sub: id, email: row.email, email_verified: false, phone_verified: false },
  })
}

async function update(service, user, params) {
  const change = {}
  if (params.email) {
    change.email = validEmail(service, params.email)
    await mustBeFree(service, change.email, user.id)
  }
  if (params.password !== undefined) {
    service.assertPasswordStrong(params.password)
    change.encrypted_password = bcrypt.hashSync(params.password, settings.passwordCost)
  }
  if (params.email_confirm && !user.email_confirmed_at) change.confirmed_at = new Date().toISOString()
  if (params.role) change.role = params.role
  if (params.ban_duration) change.banned_until = banEnd(service, params.ban_duration)
  const known = service.repo.parseUserJson(user)
  if (params.user_metadata) change.raw_user_meta_data = merged(known.raw_user_meta_data, params.user_metadata)
  if (params.app_metadata) change.raw_app_meta_data = merged(known.raw_app_meta_data, params.app_metadata)
  await service.repo.updateUser(user.id, change)
  if (change.email) await moveIdentity(service, user.id, change.email, Boolean(params.email_confirm))
  // Hosted ends every session of a user whose password an admin sets.
  if (change.encrypted_password) await service.endSessions(user.id)
  return describe(service, user)
}

async function moveIdentity(service, userId, email, verified) {
  const identities = await service.repo.findIdentitiesByUserId(userId)
  const { id, identity_data } = identities.find(({ provider }) => provider === 'email') ?? {}
  if (id) await service.repo.updateIdentity(id, { identity_data: { ...identity_data, email, email_verified: verified } })
}

async function remove(service, user, { should_soft_delete: soft }) {
  if (!soft) await service.repo.deleteFrom('users').where('id', '=', user.id).execute()
  else {
    const gone = { deleted_at: new Date().toISOString(), email: null, phone: null, encrypted_password: null }
    await service.repo.updateUser(user.id, gone)
    await service.endSessions(user.id)
  }
  return {}
}

async function generateLink(service, params) {
  const email = validEmail(service, params.email)
  let user = await service.repo.findUserByEmail(email)
  let { type } = params
  if (!user && type === 'magiclink') type = 'signup'
  if (!user && type === 'recovery') throw service.refuse(404, 'user_not_found', 'User with this email not found')
  if (!['signup', 'invite', 'magiclink', 'recovery'].includes(type))
    throw service.refuse(400, 'validation_failed', `Invalid email action link type requested: ${type}`)
  const first = type === 'signup' || type === 'invite'
  if (first && user?.email_confirmed_at) throw emailExists(service)
  if (!user) {
    const { password, data } = params
    user = await create(service, { email, password: type === 'signup' ? password : undefined, user_metadata: data })
  }
  const { code, hash } = await storeCode(service, user.id, email, type)
  const link = new URL('/auth/v1/verify', settings.url)
  const redirect = params.redirect_to ?? settings.siteUrl
  link.search = new URLSearchParams({ token: hash, type, redirect_to: redirect }).toString()
  return {
    ...(await describe(service, user)),
    action_link: link.href,
    email_otp: code,
    hashed_token: hash,
    verification_type: type,
    redirect_to: redirect,
  }
}

async function storeCode(service, userId, email, type) {
  const { code, hash } = newCode(email)
  const now = new Date().toISOString()
  const kept = {
    signup: { confirmation_token: hash, confirmation_sent_at: now },
    invite: { confirmation_token: hash, confirmation_sent_at: now, invited_at: now },
    magiclink: { recovery_token: hash, recovery_sent_at: now },
    recovery: { recovery_token: hash, recovery_sent_at: now },
  }[type]
  await service.repo.updateUser(userId, kept)
  return { code, hash }
}

async function invite(service, { email: address, data }) {
  const email = validEmail(service, address)
  const known = await service.repo.findUserByEmail(email)
  if (known?.email_confirmed_at) throw emailExists(service)
  const user = known ?? (await create(service, { email, user_metadata: data }))
  const { code, hash } = await storeCode(service, user.id, email, 'invite')
  await service.mailer.sendInvite(email, hash, code)
  return describe(service, user)
}

function validEmail(service, email) {
  if (!EMAIL.test(String(email)))
    throw service.refuse(400, 'validation_failed', 'Unable to validate email address: invalid format')
  return email.toLowerCase()
}

async function mustBeFree(service, email, exceptId) {
  const user = await service.repo.findUserByEmail(email)
  if (user && user.id !== exceptId) throw emailExists(service)
}

const emailExists = (service) =>
  service.refuse(422, 'email_exists', 'A user with this email address has already been registered')

function banEnd(service, duration) {
  if (duration === 'none') return null
  if (!DURATION.test(duration)) throw service.refuse(400, 'validation_failed', 'invalid format for ban duration')
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)]
  const length = parts.reduce((sum, [, amount, unit]) => sum + amount * MILLISECONDS[unit], 0)
  return new Date(Date.now() + length).toISOString()
}

/** As hosted merges metadata: key by key, null removes. */
function merged(old, change) {
  return Object.fromEntries(Object.entries({ ...old, ...change }).filter(([, value]) => value !== null))
}

// Identifies the caller: API keys of both kinds and users' tokens, HS256 or ES256.
import { createHash } from 'node:crypto'
import { SignJWT, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { settings } from './settings.mjs'

const secret = new TextEncoder().encode(settings.jwtSecret)
const elliptic = settings.jwtAlgorithm === 'ES256' ? await newSigningKey() : null

async function newSigningKey() {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig', key_ops: ['verify'], ext: true }
  const kid = createHash('sha256').update(`${jwk.x}.${jwk.y}`).digest('hex').slice(0, 32)
  return { privateKey, publicKey, jwk: { ...jwk, kid } }
}

/** (g) lite's JWKS is always empty. Hosted publishes its asymmetric keys, and none for a legacy HS256 secret. */
export const jwks = { keys: elliptic ? [elliptic.jwk] : [] }

const asHs256 = (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(secret)

/** Sign claims that already carry iat and exp with the secret: what lite and the Storage routes verify. */
export const signWithSecret = asHs256

/** (g) lite's access tokens name no issuer and little of the user: sign them again with hosted's claims. */
export async function issueAccessToken(token, user, method) {
  const claims = decodeJwt(token)
  const complete = {
    ...claims,
    iss: `${settings.url}/auth/v1`,
    email: user.email ?? '',
    phone: user.phone ?? '',
    app_metadata: user.app_metadata ?? {},
    user_metadata: user.user_metadata ?? {},
    aal: 'aal1',
    amr: [{ method, timestamp: claims.iat }],
    is_anonymous: false,
  }
  if (!elliptic) return asHs256(complete)
  return new SignJWT(complete)
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: elliptic.jwk.kid })
    .sign(elliptic.privateKey)
}

/** The verified claims; rejects with jose's error if the token is forged, foreign or expired. */
export async function verify(token) {
  const { alg } = decodeProtectedHeader(token)
  const key = alg === 'ES256' && elliptic ? elliptic.publicKey : secret
  return (await jwtVerify(token, key, { algorithms: [key === secret ? 'HS256' : 'ES256'] })).payload
}

/** The key as an opaque one. (f) lite knows no legacy key, which is a token with a role and no user. */
export async function opaqueKey(key) {
  if (!key || key.startsWith('sb_')) return key
  const claims = await verify(key).catch(() => null)
  if (claims?.role === 'service_role') return settings.secretKey
  return claims?.role === 'anon' ? settings.publishableKey : key
}

/** The request as lite expects it: an opaque key, and a user's token signed with the secret. */
export async function translate(request) {
  const headers = new Headers(request.headers)
  const bearer = bearerOf(headers)
  const given = headers.get('apikey')
  const key = await opaqueKey(given)
  if (key) headers.set('apikey', key)
  if (bearer && bearer === given) headers.delete('authorization')
  else if (bearer && elliptic && isElliptic(bearer)) {
    const claims = await verify(bearer).catch(() => null)
    if (claims) headers.set('authorization', `Bearer ${await asHs256(claims)}`)
  }
  return new Request(request, { headers })
}

/** {role, claims, user} of the caller. A user's token counts before the key; anon without either. Rejects as `verify`. */
export async function identify(request) {
  const key = await opaqueKey(request.headers.get('apikey'))
  const bearer = (await opaqueKey(bearerOf(request.headers))) || key
  if (!bearer) return { role: 'anon', claims: null, user: null }
  if (bearer === settings.secretKey) return { role: 'service_role', claims: { role: 'service_role' }, user: null }
  if (bearer === settings.publishableKey) return { role: 'anon', claims: { role: 'anon' }, user: null }
  const claims = await verify(bearer)
  return { role: claims.role ?? 'anon', claims, user: claims.sub ?? null }
}

export function bearerOf(headers) {
  return headers.get('authorization')?.match(/^Bearer\s+(\S+)$/i)?.[1] ?? ''
}

function isElliptic(token) {
  try {
    return decodeProtectedHeader(token).alg === 'ES256'
  } catch {
    return false
  }
}

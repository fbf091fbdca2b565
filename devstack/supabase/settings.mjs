// The server's settings, read from the environment once.

function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

function number(name, fallback) {
  const value = Number(process.env[name] || fallback)
  if (!Number.isFinite(value)) throw new Error(`${name} is not a number: ${process.env[name]}`)
  return value
}

const port = number('SUPABASE_PORT', 0)

export const settings = Object.freeze({
  port,
  url: `http://127.0.0.1:${port}`,
  databaseUrl: required('SUPABASE_DATABASE_URL'),
  secretKey: required('SUPABASE_SECRET_KEY'),
  publishableKey: required('SUPABASE_PUBLISHABLE_KEY'),
  jwtSecret: required('SUPABASE_JWT_SECRET'),
  jwtAlgorithm: process.env.SUPABASE_JWT_ALGORITHM || 'HS256',
  jwtExpirySeconds: number('SUPABASE_JWT_EXPIRY', 3600),
  objectsDir: required('SUPABASE_OBJECTS_DIR'),
  fileSizeLimit: number('SUPABASE_FILE_SIZE_LIMIT', 50 * 1024 * 1024),
  maxRows: number('SUPABASE_MAX_ROWS', 1000),
  outbox: required('SUPABASE_OUTBOX'),
  accessLog: required('SUPABASE_ACCESS_LOG'),
  siteUrl: process.env.SUPABASE_SITE_URL || 'http://127.0.0.1:3000',
  confirmEmail: process.env.SUPABASE_CONFIRM_EMAIL === '1',
  // Hosted: one mail of a kind to an address in 60 s, else 429 over_email_send_rate_limit.
  mailIntervalSeconds: number('SUPABASE_MAIL_INTERVAL', 60),
  mailExpirySeconds: number('SUPABASE_MAIL_EXPIRY', 3600),
  minimumPasswordLength: number('SUPABASE_PASSWORD_LENGTH', 6),
  // lite's own variable; its sign-ups read it as well.
  passwordCost: number('LITE_AUTH_BCRYPT_COST', 10),
})

// Saves every mail of the Auth service as an .eml file in the outbox folder.
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { settings } from './settings.mjs'

const composer = createTransport({ streamTransport: true, buffer: true, newline: 'unix' })
let count = 0

const SUBJECTS = {
  signup: 'Confirm Your Signup',
  recovery: 'Reset Your Password',
  magiclink: 'Your Magic Link',
  invite: 'You have been invited',
  email_change: 'Confirm Email Change',
  reauthentication: 'Confirm Reauthentication',
}

/** Write one mail. Its link contains the token's hash, as Supabase documents for server-side templates. */
async function send(type, to, tokenHash, code) {
  const link = new URL('/auth/confirm', settings.siteUrl)
  link.search = new URLSearchParams({ token_hash: tokenHash, type }).toString()
  const { message } = await composer.sendMail({
    from: 'noreply@mail.example',
    to,
    subject: SUBJECTS[type],
    text: `${SUBJECTS[type]}\n\nFollow this link: ${link.href}\n\nOr enter this code: ${code}\n`,
    headers: { 'X-Token-Hash': tokenHash, 'X-Mail-Type': type },
    textEncoding: 'base64',
  })
  await mkdir(settings.outbox, { recursive: true })
  const name = `${Date.now()}-${String(++count).padStart(6, '0')}-${type}.eml`
  // Renamed at the end, so that a reader of the folder never sees half a mail.
  await writeFile(join(settings.outbox, `.${name}`), message)
  await rename(join(settings.outbox, `.${name}`), join(settings.outbox, name))
}

/** lite's own mailer interface: (address, token hash, code). */
export const mailer = {
  sendConfirmation: (to, hash, code) => send('signup', to, hash, code),
  sendRecovery: (to, hash, code) => send('recovery', to, hash, code),
  sendMagicLink: (to, hash, code) => send('magiclink', to, hash, code),
  sendInvite: (to, hash, code) => send('invite', to, hash, code),
  sendEmailChange: (to, hash, code) => send('email_change', to, hash, code),
  sendReauthentication: (to, code, { tokenHash }) => send('reauthentication', to, tokenHash, code),
}

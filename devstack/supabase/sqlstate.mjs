// Turns a database error into PostgREST's answer: {code, message, details, hint} and the documented status.

// First match wins. A star stands for the rest of the class.
const STATUSES = [
  ['08*', 503], ['09*', 500], ['0L*', 403], ['0P*', 403],
  ['21000', 500], ['25006', 405], ['25*', 500], ['28*', 403], ['2D*', 500],
  ['38*', 500], ['39*', 500], ['3B*', 500], ['40*', 500],
  ['42883', 404], ['42P01', 404], ['42P17', 500],
  ['53400', 500], ['53*', 503], ['54*', 500], ['55*', 500], ['57P01', 503], ['57P03', 503],
  ['57*', 500], ['58*', 500],
  ['F0*', 500], ['HV*', 500], ['P0001', 400], ['P0*', 500], ['XX*', 500],
] // prettier-ignore

// lite maps these as PostgREST does; 42501 depends on whether the caller is signed in, which only lite knows here.
const LEFT_TO_LITE = /^(23503|23505|42501|42703|PGRST|PT.*)$/

const SQLSTATE = /^[0-9A-Z]{5}$/

function statusOf(code) {
  const [, status] = STATUSES.find(([mask]) => code.startsWith(mask.replace('*', ''))) ?? []
  return status ?? 400
}

/** Give `error` the form of PostgREST's own `raise sqlstate 'PGRST'`, in which lite sends any body and status. */
export function asPostgrest(error) {
  const code = error?.code
  if (/^timeout exceeded when trying to connect/.test(error?.message))
    return raised(504, 'PGRST003', 'Timed out acquiring connection from connection pool.')
  if (/^(ECONN|EPIPE)/.test(code) || /^(Connection terminated|Client has encountered)/.test(error?.message))
    return raised(503, 'PGRST001', 'Database client error. Retrying the connection.', error.message)
  if (typeof code !== 'string' || LEFT_TO_LITE.test(code)) return error
  if (!SQLSTATE.test(code)) return error
  return raised(statusOf(code), code, error.message, error.detail, error.hint)
}

function raised(status, code, message, details = null, hint = null) {
  return {
    code: 'PGRST',
    message: JSON.stringify({ code, message, details, hint }),
    detail: JSON.stringify({ status, headers: {} }),
  }
}

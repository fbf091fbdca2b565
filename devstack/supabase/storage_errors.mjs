// Storage's error answers: HTTP 400 (500 for its own failures), the real status as text in `statusCode`.

export class StorageError extends Error {
  constructor(status, error, message) {
    super(message)
    this.status = status
    this.error = error
  }

  toResponse() {
    const body = { statusCode: String(this.status), error: this.error, message: this.message }
    return Response.json(body, { status: this.status === 500 ? 500 : 400 })
  }
}

export const bucketNotFound = () => new StorageError(404, 'Bucket not found', 'Bucket not found')
export const objectNotFound = () => new StorageError(404, 'not_found', 'Object not found')
export const alreadyExists = () => new StorageError(409, 'Duplicate', 'The resource already exists')
export const relatedNotFound = () => new StorageError(404, 'InvalidRequest', 'The related resource does not exist')
export const invalidKey = (key) => new StorageError(400, 'InvalidKey', `Invalid key: ${key}`)
export const invalidRequest = (message) => new StorageError(400, 'InvalidRequest', message)
export const accessDenied = (message) => new StorageError(403, 'Unauthorized', message)
export const invalidToken = (message) => new StorageError(400, 'InvalidJWT', message)
export const signatureMismatch = () => new StorageError(400, 'InvalidSignature', 'Invalid signature')
export const invalidType = (type) => new StorageError(415, 'invalid_mime_type', `mime type ${type} is not supported`)
export const invalidRange = () => new StorageError(416, 'InvalidRange', 'The requested range is not satisfiable')
export const notEmpty = () =>
  new StorageError(409, 'InvalidRequest', 'The bucket you tried to delete is not empty')
export const tooLarge = () =>
  new StorageError(413, 'Payload too large', 'The object exceeded the maximum allowed size')

/** The answer to an error of the database; undefined for every other error. */
export function fromDatabase(error) {
  switch (error?.code) {
    case '23505':
      return alreadyExists()
    case '23503':
      return relatedNotFound()
    case '42501':
      return accessDenied('new row violates row-level security policy')
    default:
      return undefined
  }
}

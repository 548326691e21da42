// Who may use a route of the HTTP API that is not for everybody, and what errors look like there. Not here: the routes.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { DelosError, type ErrorCode } from '../base/delos-error.ts'
import type { AdminToken } from './admin-token.ts'

/** The request was refused for lack of a right. */
class Refused extends Error {
  readonly status: 401 | 403

  constructor(status: 401 | 403, message: string) {
    super(message)
    this.status = status
  }
}

// Before the body is read: whoever may not change anything is not listened to.
async function admit(token: AdminToken, request: FastifyRequest): Promise<void> {
  switch (token.admits(request.headers.authorization)) {
    case 'admitted':
      return
    case 'no token':
      throw new Refused(401, 'this needs a header "Authorization: Bearer TOKEN"; the token is in DATA_DIR/admin.token')
    case 'wrong token':
      throw new Refused(403, 'the token is not the one in DATA_DIR/admin.token')
  }
}

/** Options of a route that only who shows the admin token may use. */
export function guarded(token: AdminToken) {
  return { errorHandler, onRequest: (request: FastifyRequest) => admit(token, request) }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: 404,
  INVALID_ARGUMENT: 400,
  LIMIT_EXCEEDED: 400,
  UNSUPPORTED: 400,
  CONFLICT: 409,
  OVERLOADED: 503,
  NOT_READY: 503,
  TIMEOUT: 503,
  DISK_FULL: 503,
  CLOSED: 503,
  STOPPED: 503,
  INDETERMINATE: 504,
}

/** What refused or failed, as JSON with a status. */
export async function errorHandler(error: unknown, _request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (error instanceof Refused) {
    if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="delos"')
    await reply.code(error.status).send({ error: error.message })
    return
  }
  if (error instanceof DelosError) {
    await reply.code(STATUS[error.code] ?? 500).send({ code: error.code, error: error.message })
    return
  }
  // Fastify's own, about a body that is too large or no JSON; anything else is a bug, told without what is inside.
  const { statusCode = 500, message } = error as { statusCode?: number; message: string }
  await reply.code(statusCode).send({ error: statusCode < 500 ? message : 'internal error' })
}

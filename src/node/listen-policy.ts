// Which port a listener gets: what to do when the wanted one is taken.

import { DelosError } from '../base/delos-error.ts'
import type { Logger } from '../runtime/logger.ts'

export interface ListenRequest {
  /** For messages: `metrics`, `api`, `zookeeper`. */
  readonly what: string
  readonly port: number
  /** The user asked for this very port (or it is ZooKeeper's): a taken one is fatal. */
  readonly fatal: boolean
}

/**
 * Calls `listen` with the wanted port; if that is taken and nobody insisted on it, with 0 (any free one) and a warning.
 * Rejects with IN_USE otherwise.
 */
export async function listenByPolicy<T>(
  request: ListenRequest,
  logger: Logger,
  listen: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await listen(request.port)
  } catch (error) {
    const failure = asPortError(error, request)
    if (request.fatal || failure.code !== 'IN_USE') throw failure
    logger.warn({ port: request.port }, `port ${request.port} is taken: ${request.what} gets another one`)
    return await listen(0)
  }
}

function asPortError(error: unknown, request: ListenRequest): DelosError {
  const errno = (error as { code?: string }).code
  const taken = errno === 'EADDRINUSE' || errno === 'IN_USE'
  if (taken) return new DelosError('IN_USE', `port ${request.port} (${request.what}) is in use`, { cause: error })
  if (error instanceof DelosError) return error
  return DelosError.from(error, 'INVALID_ARGUMENT', `can't listen on port ${request.port} (${request.what})`)
}

/** `host:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

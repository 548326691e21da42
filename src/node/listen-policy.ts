// Which port a listener gets: what to do when the wanted one is taken, and what to tell when host or port can't be had.

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
 * Rejects otherwise: with IN_USE, or INVALID_ARGUMENT if the host or the port is none that this process may listen on.
 */
export async function listenByPolicy<T>(
  request: ListenRequest,
  logger: Logger,
  listen: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await listen(request.port)
  } catch (error) {
    const failure = asListenError(error, request)
    if (request.fatal || failure.code !== 'IN_USE') throw failure
    logger.warn({ port: request.port }, `port ${request.port} is taken: ${request.what} gets another one`)
    return await listen(0)
  }
}

function asListenError(error: unknown, { what, port }: ListenRequest): DelosError {
  const { code = '', address, hostname = address } = systemErrorIn(error)
  if (code === 'EADDRINUSE' || code === 'IN_USE') {
    return new DelosError('IN_USE', `port ${port} (${what}) is in use`, { cause: error })
  }
  if (HOST_ERRORS.has(code) && hostname !== undefined) {
    const message = `host: ${hostname} must be an address of this machine, or a name of one (${code})`
    return new DelosError('INVALID_ARGUMENT', message, { cause: error })
  }
  if (code === 'EACCES') {
    return new DelosError('INVALID_ARGUMENT', `no permission to listen on port ${port} (${what})`, { cause: error })
  }
  return DelosError.from(error, 'INVALID_ARGUMENT', `can't listen on port ${port} (${what})`)
}

/** What the system says when the fault is the host's, not the port's. */
const HOST_ERRORS: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'EAI_AGAIN',
  'EINVAL',
  'ENODATA',
  'ENOTFOUND',
])

interface SystemError {
  readonly code?: string
  /** Of a failed bind. */
  readonly address?: string
  /** Of a failed look-up. */
  readonly hostname?: string
}

/** The system's own error, which is the innermost one. */
function systemErrorIn(error: unknown): SystemError {
  let innermost = error
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause
  return innermost instanceof Error ? (innermost as SystemError) : {}
}

/** `host:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

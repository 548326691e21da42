// The two HTTP servers (metrics, API) share how they are made: Fastify, small bodies, deadlines, no foreign origins.

import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { formatAddress } from './listen-policy.ts'

const BODY_BYTES_MAX = 64 * 1024
const REQUEST_MS = 10_000
/** Operators and scrapers are few; one connection more is closed at once. */
const CONNECTIONS_MAX = 256

/** Routes of one HTTP server. */
export type Routes = (app: FastifyInstance) => void

export interface HttpListener {
  /** `host:port` with the real port. */
  readonly address: string
  close(): Promise<void>
}

/** Starts an HTTP server with these routes. Rejects with the system's error if the port can't be had. */
export async function listenHttp(host: string, port: number, routes: Routes): Promise<HttpListener> {
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS,
    connectionTimeout: REQUEST_MS,
    forceCloseConnections: true,
  })
  app.addHook('onRequest', async (request, reply) => {
    // A page from elsewhere must not reach a server on this machine through a browser.
    const { origin } = request.headers
    if (origin === undefined || isOwnOrigin(origin, request.headers.host)) return
    await reply.code(403).send({ error: 'requests from a foreign Origin are refused' })
  })
  app.server.maxConnections = CONNECTIONS_MAX
  routes(app)
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw error
  }
  const bound = app.server.address() as AddressInfo
  return { address: formatAddress(bound.address, bound.port), close: () => app.close() }
}

function isOwnOrigin(origin: string, host: string | undefined): boolean {
  try {
    return new URL(origin).host === host
  } catch {
    // Not a URL ("null" of sandboxed pages): foreign.
    return false
  }
}

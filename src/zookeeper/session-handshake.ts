// From a client's first frame to its session, or to its refusal. Says what to answer; the connection writes and closes.

import type { DelosError } from '../base/delos-error.ts'
import type { SessionRecord } from '../zelos/requests.ts'
import type { SessionOwner } from '../zelos/zelos.ts'
import type { ConnectRequest } from './codec/handshake.ts'
import { FOREIGN_SESSION } from './codec/session-id.ts'
import type { ServerContext } from './server-context.ts'

/** What becomes of a connect request. */
export type HandshakeOutcome =
  | { readonly kind: 'opened'; readonly session: SessionRecord }
  /** The log takes no updates, and the client is content with reading. */
  | { readonly kind: 'read-only'; readonly session: SessionRecord }
  /** No such session, or a wrong password. */
  | { readonly kind: 'refused' }
  /** The client has seen a zxid that this database has never given out: it comes from another history. */
  | { readonly kind: 'ahead' }
  /** There are too many new sessions. */
  | { readonly kind: 'throttled' }
  | { readonly kind: 'failed'; readonly error: DelosError }

const NO_PASSWORD = new Uint8Array(0)

/** Creates or finds the session that a client asks for. `owner` owns it from then on. `done` is called exactly once. */
export function openSession(
  server: ServerContext,
  request: ConnectRequest,
  address: string,
  owner: SessionOwner,
  done: (outcome: HandshakeOutcome) => void,
): void {
  const { access, zelos } = server
  if (!access.connections.admit(request.sessionId === 0)) {
    access.stats.refused('connection-throttle')
    return done({ kind: 'throttled' })
  }
  const reject = (error: DelosError): void => {
    const { readOnly } = access
    if (!request.readOnly || !readOnly.isFor(error)) return done({ kind: 'failed', error })
    const timeoutMs = server.negotiateTimeout(request.timeoutMs)
    const session = readOnly.session(request.sessionId, request.password ?? NO_PASSWORD, timeoutMs)
    done(session === undefined ? { kind: 'refused' } : { kind: 'read-only', session })
  }
  const open = (): void => {
    const timeoutMs = server.negotiateTimeout(request.timeoutMs)
    const resolve = (session: SessionRecord | undefined): void =>
      done(session === undefined ? { kind: 'refused' } : { kind: 'opened', session })
    const completion = { resolve, reject }
    if (request.sessionId === 0) zelos.sessions.create(timeoutMs, address, owner, completion)
    else if (request.sessionId === FOREIGN_SESSION) done({ kind: 'refused' })
    else {
      const password = request.password ?? NO_PASSWORD
      zelos.sessions.reattach(request.sessionId, password, timeoutMs, address, owner, completion)
    }
  }
  if (request.lastZxidSeen <= zelos.lastZxid) return open()
  // This server may only be behind: one sync, and if it still is, this is another history.
  zelos.sync({
    resolve: () => (request.lastZxidSeen <= zelos.lastZxid ? open() : done({ kind: 'ahead' })),
    reject,
  })
}

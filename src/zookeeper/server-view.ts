// A protocol server and its connections as operators see them: what the four-letter words, the AdminServer's commands and the
// metrics read. Nothing here is asked on the way of a request.

import type { Connection } from '../runtime/network.ts'
import type { SessionRecord } from '../zelos/requests.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { Identity, Zxid } from '../zelos/znode.ts'
import type { AccessControl } from './access-control.ts'
import type { ClientLimits, ZooKeeperServerOptions } from './server-options.ts'
import type { LatencyStats, ServerStats } from './server-stats.ts'

export interface ConnectionView {
  readonly connection: Pick<Connection, 'remoteAddress' | 'remotePort'>
  readonly hasSession: boolean
  readonly session: SessionRecord | undefined
  readonly outstanding: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly acceptedMs: number
  /** An operation code, or one of LAST_OP. */
  readonly lastOp: number
  readonly lastXid: number
  /** -1: none since its figures were reset. */
  readonly lastZxid: Zxid
  readonly lastReplyMs: number
  readonly lastLatencyMs: number
  readonly latency: LatencyStats
  /** Its figures start again. */
  resetStats(): void
}

/** What stands for the last operation where there is none; no operation has these codes. */
export const LAST_OP = { onlySession: -1, reset: -2 } as const

export interface ServerView {
  readonly zelos: Pick<Zelos, 'lastZxid' | 'stats' | 'inspection'>
  readonly stats: ServerStats
  readonly options: ZooKeeperServerOptions
  readonly limits: ClientLimits
  readonly timeoutRange: readonly [minMs: number, maxMs: number]
  readonly boundPort: number
  /** Of the port for TLS alone; -1: there is none. */
  readonly securePort: number
  readonly connections: ReadonlySet<ConnectionView>
  readonly outstanding: number
  readonly startedMs: number
  readonly access: Pick<AccessControl, 'options' | 'stats' | 'connections'>
  /** No updates are taken at the moment, and there are clients who only read. */
  readonly readOnly: boolean
  /** Of the words gtmk and stmk; it has no effect. A signed 64-bit number. */
  traceMask: bigint
  /** Did it come through that port? */
  isSecure(client: ConnectionView): boolean
  /** What somebody proves by a credential, as by an `auth` request; undefined if it is refused. */
  identify(scheme: string, credential: Uint8Array): readonly Identity[] | undefined
  /** Monotonic. */
  nowMs(): number
  wallMs(): number
}

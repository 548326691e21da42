// What leaves on one client connection: replies and events gather in one buffer, and those of a turn of the event loop leave in
// one write. Knows how much the client has not taken, and when that is too much; what they say is the connection's.

import type { Connection } from '../runtime/network.ts'
import { JuteWriter } from './codec/jute-writer.ts'
import type { Flushable, ServerContext } from './server-context.ts'

/** Written and not yet handed to the socket: from here on a flush does not wait for the end of the turn. */
const FLUSH_BYTES = 256 * 1024
/** Unsent bytes of a connection from which on its requests are neither read nor answered. */
const CONGESTED_BYTES = 4 * 1024 * 1024

export class Outgoing implements Flushable {
  /** Where frames are written; `schedule` after each. */
  readonly writer = new JuteWriter()
  private readonly server: ServerContext
  private readonly connection: Connection
  private readonly onUnread: (fields: object) => void
  private readonly congestedBytes: number
  /** The system did not take all of the last write. */
  private clogged = false
  /** What is counted of this connection in the server's `unsentBytes`. */
  private accounted = 0
  private scheduled = false
  private stopped = false

  /** `onUnread`: the client has left more than a limit unread, which `fields` name; its connection must go. */
  constructor(server: ServerContext, connection: Connection, onUnread: (fields: object) => void) {
    this.server = server
    this.connection = connection
    this.onUnread = onUnread
    this.congestedBytes = Math.min(CONGESTED_BYTES, server.limits.unsentBytesMax / 2)
  }

  /** So much waits for the client that nothing should be added; `drained` ends it. */
  get congested(): boolean {
    return this.clogged && this.connection.bufferedBytes > this.congestedBytes
  }

  /** What was written leaves at the end of this turn of the event loop, or now if it is much. */
  schedule(): void {
    if (this.writer.size >= FLUSH_BYTES) return this.flush()
    if (this.scheduled) return
    this.scheduled = true
    this.server.flushSoon(this)
  }

  /** Sends what was written. */
  flush(): void {
    this.scheduled = false
    if (this.stopped) return
    const bytes = this.writer.take()
    if (bytes.length === 0) return
    const { limits, stats } = this.server
    stats.bytesSent += bytes.length
    this.clogged = !this.connection.write(bytes)
    const unsent = this.connection.bufferedBytes
    this.account(this.clogged ? unsent : 0)
    const limit = unsent > limits.unsentBytesMax ? 'unsentBytesMax' : 'allUnsentBytesMax'
    if (limit === 'allUnsentBytesMax' && (!this.clogged || this.server.unsentBytes <= limits[limit])) return
    stats.limitHit(limit)
    this.onUnread({ unsent, [limit]: limits[limit] })
  }

  /** The system has taken everything. */
  drained(): void {
    this.clogged = false
    this.account(0)
  }

  /** Nothing more is sent; what was handed over goes out. */
  stop(): void {
    this.stopped = true
  }

  /** The connection is gone, and with it what it had not taken. */
  closed(): void {
    this.stopped = true
    this.writer.reset()
    this.account(0)
  }

  private account(unsent: number): void {
    this.server.unsentBytes += unsent - this.accounted
    this.accounted = unsent
  }
}

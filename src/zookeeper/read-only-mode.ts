// Sessions that only read, for clients that ask for them while the log takes no updates. They exist at this server alone, and
// end as soon as the log takes updates again, so that their clients come back for ordinary ones.

import type { DelosError } from '../base/delos-error.ts'
import type { Timer, Timers } from '../runtime/runtime.ts'
import type { SessionRecord } from '../zelos/requests.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { Chance } from './access-options.ts'

/** How often the log is asked whether it takes updates again, while there are such sessions. */
const PROBE_MS = 1000
const PASSWORD_BYTES = 16
/** No request counter gets here, so that these ids are nobody's. */
const FIRST_ID = 2 ** 52

/** A connection whose session only reads. */
export interface ReadOnlyClient {
  /** The log takes updates again. */
  end(reason: 'session-ended'): void
}

export class ReadOnlyMode {
  private readonly enabled: boolean
  private readonly zelos: Zelos
  private readonly timers: Timers
  private readonly chance: Chance
  private readonly clients = new Set<ReadOnlyClient>()
  /** Since the start. */
  sessionsOpened = 0
  private timer: Timer | undefined
  private nextId = FIRST_ID

  constructor(enabled: boolean, zelos: Zelos, timers: Timers, chance: Chance) {
    this.enabled = enabled
    this.zelos = zelos
    this.timers = timers
    this.chance = chance
  }

  /** True while there are such sessions. */
  get isOn(): boolean {
    return this.clients.size > 0
  }

  /** Is this a refusal by the log that such a session can make up for? */
  isFor({ code }: DelosError): boolean {
    return this.enabled && (code === 'DISK_FULL' || code === 'NOT_READY')
  }

  /** A session of its own, or the one that the client has already, as far as it is known here; undefined if it is not. */
  session(id: number, password: Uint8Array, timeoutMs: number): SessionRecord | undefined {
    if (id !== 0) return this.zelos.sessions.find(id, password)
    return {
      id: this.nextId++,
      password: this.chance.bytes(PASSWORD_BYTES),
      timeoutMs,
      ownerEpoch: 0,
      renewedAt: 0,
    }
  }

  /** True for a session that no log knows. */
  isOwn(id: number): boolean {
    return id >= FIRST_ID
  }

  add(client: ReadOnlyClient): void {
    this.sessionsOpened++
    this.clients.add(client)
    this.watch()
  }

  remove(client: ReadOnlyClient): void {
    if (this.clients.delete(client) && this.clients.size === 0) this.stop()
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = undefined
  }

  private watch(): void {
    this.timer ??= this.timers.after(PROBE_MS, () =>
      this.zelos.probe({ resolve: () => this.over(), reject: () => this.again() }),
    )
  }

  private again(): void {
    if (this.timer === undefined) return
    this.timer = undefined
    if (this.clients.size > 0) this.watch()
  }

  private over(): void {
    this.timer = undefined
    for (const client of [...this.clients]) client.end('session-ended')
  }
}

// Which claims have been held in silence for too long, by this server's own stopwatch. A stopwatch runs only while this server itself
// goes on: after a stall all start again. Not here: what an accusation means.

import type { LogPos } from '../../log/position.ts'
import type { Random } from '../../runtime/runtime.ts'
import type { HeldClaim } from './backup-rows.ts'

/** Progress is told of so many times within the time after which a claim is taken over. */
const PROGRESS_PER_SILENCE = 4
/** A tick that comes later than so many tells of a stall. */
const STALL_TICKS = 3

interface Watched {
  readonly lastHeard: LogPos
  readonly sinceMs: number
  /** Not all accuse at once. */
  readonly patience: number
}

export interface DueClaim {
  readonly claim: HeldClaim
  readonly due: 'progress' | 'takeover'
}

export class ClaimWatch {
  private readonly silentMs: number
  private readonly tickMs: number
  private readonly random: Random
  private readonly watched = new Map<LogPos, Watched>()
  private lastMs: number | undefined

  constructor(silentMs: number, tickMs: number, random: Random) {
    this.silentMs = silentMs
    this.tickMs = tickMs
    this.random = random
  }

  /** What is due now; of own claims a sign of life, of others' their takeover. */
  look(nowMs: number, held: readonly HeldClaim[], me: string): DueClaim[] {
    if (this.lastMs !== undefined && nowMs - this.lastMs > STALL_TICKS * this.tickMs) this.watched.clear()
    this.lastMs = nowMs
    for (const id of this.watched.keys()) if (!held.some((claim) => claim.id === id)) this.watched.delete(id)
    const due: DueClaim[] = []
    for (const claim of held) {
      const own = claim.serverId === me
      const known = this.watched.get(claim.id)
      if (known?.lastHeard !== claim.lastHeard) {
        const patience = 1 + this.random.uint32() / 2 ** 33
        this.watched.set(claim.id, { lastHeard: claim.lastHeard, sinceMs: nowMs, patience })
        continue
      }
      const silentMs = nowMs - known.sinceMs
      if (own && silentMs >= this.silentMs / PROGRESS_PER_SILENCE) due.push({ claim, due: 'progress' })
      if (!own && silentMs >= this.silentMs * known.patience) due.push({ claim, due: 'takeover' })
    }
    return due
  }
}

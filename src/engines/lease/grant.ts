// How long this server may answer by its lease, by its own clocks. The only place where Lease looks at a clock to decide what is
// read; apply never does. Not here: who may take the lease after it (lease-keeper.ts).
//
//   holder      begin ── propose ── applied ─────────── usable until begin + duration - margin
//   any other                       applied here ────── may take it from here + duration on
//
// The holder counts from before it proposed, the others from when they applied, so with equal clocks the holder ends first by the
// margin. It covers clocks that run apart by margin / (2 * duration).

import type { Clock } from '../../runtime/runtime.ts'

/** Both clocks at one moment. */
export interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
}

export class Grant {
  readonly epoch: number
  private readonly begin: Moment
  private readonly usableMs: number
  private readonly marginMs: number
  private over = false

  /** `begin`: before the entry was proposed that grants it. */
  constructor(epoch: number, begin: Moment, usableMs: number, marginMs: number) {
    this.epoch = epoch
    this.begin = begin
    this.usableMs = usableMs
    this.marginMs = marginMs
  }

  /** False for ever once it was false: a wall clock that is set back does not bring it to life again. */
  isUsable(now: Moment): boolean {
    if (this.over) return false
    this.over = this.clocksDisagree(now) || this.elapsedMs(now) >= this.usableMs
    return !this.over
  }

  /** While a machine is suspended its monotonic clock may stand still; then the wall clock alone knows. */
  clocksDisagree({ monotonicMs, wallMs }: Moment): boolean {
    return Math.abs(wallMs - this.begin.wallMs - (monotonicMs - this.begin.monotonicMs)) > this.marginMs
  }

  elapsedMs({ monotonicMs, wallMs }: Moment): number {
    return Math.max(monotonicMs - this.begin.monotonicMs, wallMs - this.begin.wallMs)
  }
}

// A database whose every change has a number: an update counts the version up, so does a timer that fires, and an operator counts the
// row `edited` up. So whether a read is too old can be told from two numbers.

import type { Applicator } from '../../../engine/engine.ts'
import type { Entry } from '../../../engine/entry.ts'
import type { TimerService } from '../../../engine/timer-service.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../../store/local-store.ts'
import { subStorePrefix } from '../../../store/sub-store.ts'

export interface Versions {
  readonly version: number
  readonly edited: number
}

const PREFIX = subStorePrefix('versioned')
const VERSION = `${PREFIX}version`
const FIRED = `${PREFIX}fired`
const ARMED = `${PREFIX}armed`
/** The row that operators edit. */
export const EDITED = `${PREFIX}edited`

const FIRING = 0
const UPDATE = 1

/** An update, which may arm a timer that fires after `armMs`. */
export function updateBytes(armMs: number | undefined): Uint8Array {
  return Buffer.of(UPDATE, armMs === undefined ? 0 : 1, (armMs ?? 0) >> 8, (armMs ?? 0) & 0xff)
}

export function versionsIn(tx: ReadTx): Versions {
  return { version: numberIn(tx, VERSION), edited: numberIn(tx, EDITED) }
}

/** Timers that were armed and have not fired. */
export function outstandingIn(tx: ReadTx): number {
  return numberIn(tx, ARMED) - numberIn(tx, FIRED)
}

/** Answers the version that the change has made. */
export class VersionedDatabase implements Applicator<number> {
  private readonly seen: (version: number, fired: boolean) => void
  private readonly timers: TimerService | undefined

  /** `seen`: a client of this server is told of a change, as by a watch. */
  constructor(seen: (version: number, fired: boolean) => void, timers: TimerService | undefined) {
    this.seen = seen
    this.timers = timers
  }

  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): number {
    const [kind, arms, high = 0, low = 0] = entry.payload as Uint8Array
    const version = this.count(tx, VERSION)
    if (kind === FIRING) this.count(tx, FIRED)
    else if (arms === 1 && this.timers?.enabledInApply) {
      this.count(tx, ARMED)
      this.timers.arm(tx, `${pos}.${entry.index}`, high * 256 + low, Buffer.of(FIRING))
    }
    return version
  }

  postApply(entry: Entry, _pos: LogPos, version: number): void {
    this.seen(version, entry.payload?.[0] === FIRING)
  }

  private count(tx: ReadWriteTx, key: string): number {
    const next = numberIn(tx, key) + 1
    tx.put(key, numberBytes(next))
    return next
  }
}

export function numberBytes(value: number): Uint8Array {
  return Buffer.from(String(value))
}

function numberIn(tx: ReadTx, key: string): number {
  const value = tx.get(key)
  return value === undefined ? 0 : Number(Buffer.from(value).toString())
}

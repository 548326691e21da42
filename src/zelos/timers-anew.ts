// Arms the timers of all sessions, containers and TTL nodes after the service was switched on, a piece an update: each is some 15 µs,
// and there may be a million. Until its turn comes, what was there before the switch does not end; what is new arms its own.
//
// While it goes on there is a record `r`: u8 format = 1, u8 what comes next (1 sessions, 2 nodes), string key of the last, or ''.

import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Key } from '../base/key.ts'
import type { KeyRange, ReadTx, ReadWriteTx } from '../store/local-store.ts'
import type { Update } from './requests.ts'
import type { SessionRecords } from './sessions/session-records.ts'
import { ANEW_KEY, changeRange } from './tree/key-space.ts'
import type { NodeLifetimes } from './tree/node-lifetimes.ts'

const FORMAT = 1
const PHASE = { sessions: 1, nodes: 2 } as const

/** Replicated behaviour: some 20 ms. */
export const PIECE_TIMERS = 1_500

interface Place {
  readonly phase: number
  readonly last: Key
}

export class TimersAnew {
  private readonly sessions: SessionRecords
  private readonly lifetimes: NodeLifetimes

  constructor(sessions: SessionRecords, lifetimes: NodeLifetimes) {
    this.sessions = sessions
    this.lifetimes = lifetimes
  }

  /** In the transaction of the switch. */
  switched(tx: ReadWriteTx, enabled: boolean): void {
    if (!enabled) return tx.delete(ANEW_KEY)
    this.go(tx, { phase: PHASE.sessions, last: '' }, isDivided(tx) ? PIECE_TIMERS : Number.POSITIVE_INFINITY)
  }

  /** The next piece, if there is one. */
  goOn(tx: ReadWriteTx): void {
    const record = tx.get(ANEW_KEY)
    if (record !== undefined) this.go(tx, read(record), PIECE_TIMERS)
  }

  /** What a server should propose. */
  chore(reader: ReadTx): Update | undefined {
    return reader.get(ANEW_KEY) === undefined ? undefined : { kind: 'armTimers' }
  }

  private go(tx: ReadWriteTx, place: Place, limit: number): void {
    let { phase, last } = place
    let left = limit
    for (; phase <= PHASE.nodes; phase++, last = '') {
      const owner = phase === PHASE.sessions ? this.sessions : this.lifetimes
      const rows = [
        ...tx.scan(behind(owner.allToArm(), last), left === Number.POSITIVE_INFINITY ? {} : { limit: left }),
      ]
      for (const [key, record] of rows) owner.armAnew(tx, key, record)
      left -= rows.length
      if (left > 0) continue
      write(tx, { phase, last: rows.at(-1)?.[0] ?? last })
      return
    }
    tx.delete(ANEW_KEY)
  }
}

/** All servers know of pieces: they keep changes, as no older build does. */
function isDivided(tx: ReadTx): boolean {
  for (const _ of tx.scan(changeRange(), { limit: 1, keysOnly: true })) return true
  return false
}

function behind(range: KeyRange, last: Key): KeyRange {
  return last === '' ? range : { ...range, from: `${last}\x00` }
}

function write(tx: ReadWriteTx, { phase, last }: Place): void {
  const writer = new ByteWriter(64)
  writer.u8(FORMAT)
  writer.u8(phase)
  writer.string(last)
  tx.put(ANEW_KEY, writer.toBytes())
}

function read(record: Uint8Array): Place {
  const reader = new ByteReader(record)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `record of timers to arm of format ${format}`)
  return { phase: reader.u8(), last: reader.string() }
}

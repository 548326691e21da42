// The limits of one Zelos database: each has a number, a typed error that names it, and a count of how often it was met.

import { DelosError } from '../base/delos-error.ts'
import type { UpdateOperation } from './requests.ts'
import { timedNodesMax } from './tree/timer-room.ts'

export interface ZelosLimits {
  /** Operations of one multi, which is applied in one piece: some 8 µs each. Rejects with LIMIT_EXCEEDED. */
  readonly multiOperationsMax: number
  /** Bytes of one update as it goes into the log, a multi with all its operations. Rejects with LIMIT_EXCEEDED. */
  readonly updateBytesMax: number
  /** Characters of one access control list: schemes and ids. Rejects with LIMIT_EXCEEDED. */
  readonly aclCharsMax: number
  /**
   * Containers and TTL nodes of the database. Creating one more is rejected with LIMIT_EXCEEDED, and refused in apply with
   * BAD_ARGUMENTS if that is told too late.
   */
  readonly timedNodesMax: number
  /** Sessions of the database. Creating one more is rejected with LIMIT_EXCEEDED. */
  readonly sessionsMax: number
  /** Watches at this server; a path that one connection watches for data and for children counts twice. Throws LIMIT_EXCEEDED. */
  readonly watchesMax: number
  /** Watches of one connection. Throws LIMIT_EXCEEDED. */
  readonly watchesPerConnectionMax: number
  /**
   * Persistent and recursive watches that one request sets again after a reconnect: they are set in one piece. Rejects with
   * LIMIT_EXCEEDED, and none of the request is set.
   */
  readonly lastingWatchesPerResetMax: number
  /** Characters of the watched paths: of all at this server, a path counted as often as it is watched. Throws LIMIT_EXCEEDED. */
  readonly watchCharsMax: number
  /** The same of one connection. Throws LIMIT_EXCEEDED. */
  readonly watchCharsPerConnectionMax: number
  /**
   * Nodes that are looked at for what one connection missed, if the changes themselves are not remembered any more. Those beyond
   * it tell nothing: no error, only counted.
   */
  readonly comparedNodesMax: number
  /** Updates of this server that are in the log's hands, by count and bytes. Rejects with OVERLOADED. */
  readonly pendingUpdatesMax: number
  readonly pendingBytesMax: number
}

export type ZelosLimitName = keyof ZelosLimits

/** Of the production stack. */
const TIMERS = 1_000_000

export const DEFAULT_ZELOS_LIMITS: ZelosLimits = {
  multiOperationsMax: 5_000,
  updateBytesMax: 4 << 20,
  aclCharsMax: 64 << 10,
  timedNodesMax: timedNodesMax(TIMERS),
  sessionsMax: 100_000,
  watchesMax: 1_000_000,
  watchesPerConnectionMax: 100_000,
  lastingWatchesPerResetMax: 5_000,
  watchCharsMax: 256 << 20,
  watchCharsPerConnectionMax: 32 << 20,
  comparedNodesMax: 2_000,
  pendingUpdatesMax: 50_000,
  pendingBytesMax: 64 << 20,
}

/** Holds the numbers and counts how often each was exceeded. */
export class LimitGuard {
  readonly limits: ZelosLimits
  private readonly counts: Record<ZelosLimitName, number>

  constructor(limits: Partial<ZelosLimits> = {}) {
    this.limits = { ...DEFAULT_ZELOS_LIMITS, ...limits }
    this.counts = Object.fromEntries(Object.keys(this.limits).map((name) => [name, 0])) as Record<
      ZelosLimitName,
      number
    >
  }

  /** How often each limit was exceeded since the start. */
  get exceeded(): Readonly<Record<ZelosLimitName, number>> {
    return this.counts
  }

  /** The error, if `value` is above the limit: LIMIT_EXCEEDED, for what waits for room OVERLOADED. */
  check(name: ZelosLimitName, value: number): DelosError | undefined {
    return value <= this.limits[name] ? undefined : this.exceed(name, value)
  }

  /** The same, where something else has found it. */
  exceed(name: ZelosLimitName, value: number): DelosError {
    const limit = this.limits[name]
    this.counts[name]++
    const overload = name === 'pendingUpdatesMax' || name === 'pendingBytesMax'
    return new DelosError(overload ? 'OVERLOADED' : 'LIMIT_EXCEEDED', `${name} is ${limit}, this would be ${value}`)
  }
}

/** The error if one of these operations has more of an access list than is allowed. */
export function checkAcls(guard: LimitGuard, operations: readonly UpdateOperation[]): DelosError | undefined {
  for (const operation of operations) {
    if (operation.op !== 'create' && operation.op !== 'setAcl') continue
    let chars = 0
    for (const entry of operation.acl) chars += entry.scheme.length + entry.id.length
    const error = guard.check('aclCharsMax', chars)
    if (error !== undefined) return error
  }
  return undefined
}

/** The limit that an error of a guard names; undefined for all other errors. */
export function limitNamedBy(error: DelosError): ZelosLimitName | undefined {
  const name = error.message.split(' ', 1)[0] as ZelosLimitName
  return name in DEFAULT_ZELOS_LIMITS ? name : undefined
}

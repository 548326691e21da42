// What a virtual log can be told, with defaults, and what it tells about itself.

import type { Clock, Random, Timers } from '../runtime/runtime.ts'
import type { LogletProvider, LogletRecipe } from './loglet.ts'
import type { MetaStore } from './metastore.ts'
import { LOG_START, type LogPos } from './position.ts'
import { RETENTION_DEFAULT, type RetentionPolicy } from './retention.ts'

/** Things that happen rarely, by name, for counters. */
export type LogEvent =
  | 'extended'
  | 'roll-forward'
  | 'lost race'
  | 'indeterminate append'
  | 'indeterminate chain write'
  | 'append retried'
  | 'chunked append'
  | 'chunk set restarted'
  | 'orphan destroyed'
  | 'truncated'
  | 'modified'
  | 'voided'
  | 'repaired'
  | 'forced end'

export interface VirtualLogOptions {
  readonly metastore: MetaStore
  /** One per kind of loglet that the chain names. */
  readonly providers: readonly LogletProvider[]
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Makes the first chain if the metastore holds none; without it an empty metastore is NOT_FOUND. */
  readonly initial?: LogletRecipe
  /** Where a first chain begins. Default: at 0; a restored database goes on where its content ends. */
  readonly initialStart?: LogPos
  /** Larger entries are refused; those larger than the loglet's own limit are chunked. Default 16 MiB. */
  readonly maxEntryBytes?: number
  /** Longest wait of an append; past it the answer is `indeterminate` or `refused`. Default 30 s. */
  readonly appendLimitMs?: number
  /** Longest wait of checkTail, of a read and of a trim (which then goes on by itself). Default 10 s. */
  readonly readLimitMs?: number
  /** Longest wait for the metastore. Default 10 s. */
  readonly chainLimitMs?: number
  /** Whoever finds a sealed loglet waits this long, and up to as long again, for the sealer to finish. Default 200 ms. */
  readonly rollForwardMs?: number
  readonly retention?: RetentionPolicy
  /** How often the retention policy is looked at again after a prefixTrim. Default 60 s. */
  readonly trimIntervalMs?: number
  readonly onEvent?: (event: LogEvent) => void
  /** A failure of background work that is tried again later. */
  readonly onBackgroundError?: (error: unknown) => void
}

export type ResolvedLogOptions = Required<Omit<VirtualLogOptions, 'initial'>> & Pick<VirtualLogOptions, 'initial'>

const DEFAULTS = {
  initialStart: LOG_START,
  maxEntryBytes: 16 * 1024 * 1024,
  appendLimitMs: 30_000,
  readLimitMs: 10_000,
  chainLimitMs: 10_000,
  rollForwardMs: 200,
  retention: RETENTION_DEFAULT,
  trimIntervalMs: 60_000,
  onEvent: () => undefined,
  onBackgroundError: () => undefined,
}

export function resolveLogOptions(options: VirtualLogOptions): ResolvedLogOptions {
  return { ...DEFAULTS, ...options }
}

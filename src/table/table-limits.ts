// The limits of one DelosTable database: each has a number and an error that names it and the value.

import { DelosError } from '../base/delos-error.ts'

export interface TableLimits {
  /** Bytes of one row as it is stored. */
  readonly rowBytesMax: number
  /** Writes of one transaction or batch; the same for the rows that it has read, and for the ranges that it has scanned. */
  readonly operationsMax: number
  /** Bytes of one transaction as it goes into the log. */
  readonly transactionBytesMax: number
  /** Rows in all ranges that a transaction scans, and in a page of one: apply looks at each of them again. */
  readonly scannedRowsMax: number
  /** Keys of one multi-get. */
  readonly keysMax: number
  /** Rows of one page, and how many index entries are looked at for it, whatever the filter lets through. */
  readonly pageRowsMax: number
  readonly pageExaminedMax: number
  /** Keys that one count looks at. A whole table is counted without. */
  readonly countedMax: number
  /** Transactions of this server that are in the log's hands, by count and bytes. OVERLOADED. */
  readonly pendingMax: number
  readonly pendingBytesMax: number
  /** Bytes of the rows of one answer, as they are stored: a page ends there, with the row at hand; a multi-get is refused. */
  readonly answerBytesMax: number
  /** Bytes that all reads of the past hold together of what has changed since, in the ranges that they look at. */
  readonly snapshotBytesMax: number
}

export const DEFAULT_TABLE_LIMITS: TableLimits = {
  rowBytesMax: 1 << 20,
  operationsMax: 1000,
  transactionBytesMax: 4 << 20,
  scannedRowsMax: 10_000,
  keysMax: 1000,
  pageRowsMax: 10_000,
  pageExaminedMax: 100_000,
  countedMax: 200_000,
  pendingMax: 50_000,
  pendingBytesMax: 64 << 20,
  answerBytesMax: 16 << 20,
  snapshotBytesMax: 32 << 20,
}

/** Those that apply goes by: equal on all servers, part of the build. Changed only behind a replicated level. */
export const REPLICATED_LIMITS = {
  tablesMax: 1000,
  columnsMax: 256,
  indexesMax: 32,
  nameCharsMax: 64,
  /** Bytes of a primary key, and of an index entry with the columns that it includes. */
  keyBytesMax: 2048,
  indexEntryBytesMax: 8192,
  /** Tokens of transactions that are remembered: the newest. */
  tokensKept: 500_000,
  tokenCharsMax: 64,
  /** Transactions in the change log, and their bytes, where `keepChanges` has set nothing. A minute of 100,000 small ones a second. */
  changesKept: 6_000_000,
  changeBytesKept: 1 << 30,
  /** Rows or entries that one step of background work looks at. */
  stepRows: 500,
  /** Rows that one tick of the clock of TTLs removes. */
  expiredPerTick: 1000,
  /** Duplicates that a failed unique index lists. */
  violationsListed: 100,
} as const

/** What a simulation may make smaller, equally on all of its servers. */
export type StepLimits = { readonly [N in 'stepRows']: number }

/** How often the clock of TTLs ticks. */
export const TTL_TICK_MS = 1000

export function limitExceeded(name: string, limit: number, value: number, advice: string): DelosError {
  return new DelosError('LIMIT_EXCEEDED', `${name} is ${limit}, this would be ${value}: ${advice}`)
}

/** By which apply goes too, on all servers: so they can be made smaller for one server, and not larger. */
const NOT_RAISED: readonly (keyof TableLimits)[] = ['rowBytesMax', 'scannedRowsMax']
/** What fits into an entry of the log, and into memory while it is in the log's hands. */
const BYTES_RAISED_TO: Partial<Record<keyof TableLimits, number>> = {
  transactionBytesMax: 16 << 20,
  operationsMax: 100_000,
}

/** The limits of one server. Throws INVALID_ARGUMENT for those that it can't have. */
export function tableLimits(given: Partial<TableLimits> = {}): TableLimits {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(DEFAULT_TABLE_LIMITS, name)) {
      const names = Object.keys(DEFAULT_TABLE_LIMITS).join(', ')
      throw new DelosError('INVALID_ARGUMENT', `there is no limit ${name} of tables; there are ${names}`)
    }
    const limit = name as keyof TableLimits
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new DelosError('INVALID_ARGUMENT', `the limit ${name} of tables is a whole number from 1 on, not ${value}`)
    }
    const max = NOT_RAISED.includes(limit) ? DEFAULT_TABLE_LIMITS[limit] : BYTES_RAISED_TO[limit]
    if (max !== undefined && value > max) {
      throw new DelosError('INVALID_ARGUMENT', `the limit ${name} of tables is at most ${max}, not ${value}`)
    }
  }
  const defined = Object.entries(given).filter(([, value]) => value !== undefined)
  return { ...DEFAULT_TABLE_LIMITS, ...Object.fromEntries(defined) }
}

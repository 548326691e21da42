// What one DelosTable database counts of its requests, as plain numbers: by kind and outcome, and the times of a sample. Read by
// whoever shows metrics. Costs some ns a request.

import { LatencyHistogram } from '../base/latency-histogram.ts'

const READ = { answered: 0, refused: 0 }

/** Of reads every so many are timed, and of writes. */
const SAMPLED = 32

export type ReadKind = 'get' | 'get_many' | 'scan' | 'count'

export class TableRequestStats {
  /** By kind and outcome. `refused`: an error before or instead of an answer; `indeterminate`: nobody knows whether it happened. */
  readonly requests = {
    get: { ...READ },
    get_many: { ...READ },
    scan: { ...READ },
    count: { ...READ },
    changes: { ...READ },
    transaction: { committed: 0, repeated: 0, conflict: 0, rejected: 0, refused: 0, indeterminate: 0 },
    schema: { changed: 0, conflict: 0, forbidden: 0, refused: 0 },
  }
  /** From the call to the answer. */
  readonly times = {
    get: new LatencyHistogram(),
    get_many: new LatencyHistogram(),
    scan: new LatencyHistogram(),
    count: new LatencyHistogram(),
    transaction: new LatencyHistogram(),
  }
  private calls = 0

  /** Is the request that comes now one of the sample? The first is. */
  sampled(): boolean {
    return this.calls++ % SAMPLED === 0
  }
}

/** What a database says of itself. */
export interface TableStats {
  readonly requests: TableRequestStats['requests']
  readonly times: Readonly<Record<string, Pick<LatencyHistogram, 'snapshot'>>>
  /** Requests in the log's hands. */
  readonly pending: number
  readonly pendingBytes: number
  readonly position: number
  /** The change log: its oldest position, and its bytes. */
  readonly oldestChange: number
  readonly changeBytes: number
  readonly tokens: number
  readonly cachedRows: number
  readonly cachedBytes: number
  /** Rows that ended by themselves, as applied here. */
  readonly expiredRows: number
  /** Reads of the past that had to walk through the change log, and transactions that they looked at. */
  readonly pastWalks: number
  readonly pastTransactions: number
  readonly tables: readonly { readonly name: string; readonly rows: number }[]
  readonly indexes: Readonly<Record<'building' | 'ready' | 'failed', number>>
  /** Of those that are being built. */
  readonly builds: readonly { readonly table: string; readonly index: string; readonly rowsDone: number }[]
}

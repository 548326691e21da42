// One leader at a time, by a row that ends unless its holder renews it; and a token that lets whatever the leader writes to
// refuse those who only think that they still lead. Not here: what a leader does.

import { defineTable, type Position, string, type Tables, uuid, type WriteBatch } from 'delos/table'

/** Rows end by a clock in the log that ticks once a second: never early, at most 2 s late. */
export const LEASE_MS = 2000

export const leases = defineTable({
  name: 'leases',
  columns: { election: string(), holder: string(), term: uuid() },
  key: ['election'],
  // Each renewal is a write, and begins the time anew.
  ttl: { afterMs: LEASE_MS },
})

export class Election {
  private readonly tables: Tables
  private readonly election: string

  private constructor(tables: Tables, election: string) {
    this.tables = tables
    this.election = election
  }

  static async open(tables: Tables, election: string): Promise<Election> {
    await tables.migrate(leases)
    return new Election(tables, election)
  }

  /** Who leads, if anybody does. */
  async leader(): Promise<string | undefined> {
    const { election } = this
    return (await this.tables.get(leases, { election }))?.holder
  }

  /** Waits until `holder` leads. Undefined if the signal came first. */
  async campaign(holder: string, signal?: AbortSignal): Promise<Term | undefined> {
    const { election, tables } = this
    while (signal?.aborted !== true) {
      const askedMs = performance.now()
      const taken = await tables.insert(leases, { election, holder })
      if (taken.ok && taken.row !== undefined) return new Term(tables, taken.row, taken.position, askedMs)
      await this.vacant(taken.position, signal)
    }
    return undefined
  }

  /** Resolves when the lease ends that was held at `position`, however long ago that was. */
  private async vacant(position: Position, signal: AbortSignal | undefined): Promise<void> {
    const options = { after: position, prefix: { election: this.election }, ...(signal && { signal }) }
    for await (const { after } of this.tables.changes(leases, options)) if (after === undefined) return
  }
}

/** A time in office. */
export class Term {
  /** Larger than that of every term before: the position at which the lease was taken. For what the leader writes to. */
  readonly fence: Position
  private readonly tables: Tables
  private readonly key: { readonly election: string }
  private readonly isMine: { readonly where: { readonly term: string } }
  private readonly end = new AbortController()
  private readonly renewing: Promise<void>
  private deadline: NodeJS.Timeout | undefined

  constructor(tables: Tables, row: { election: string; term: string }, fence: Position, askedMs: number) {
    this.tables = tables
    this.key = { election: row.election }
    this.isMine = { where: { term: row.term } }
    this.fence = fence
    this.over.addEventListener('abort', () => clearTimeout(this.deadline))
    this.extend(askedMs)
    this.renewing = this.renew()
  }

  /** Aborted when the term is over: by then at the latest the leader stops. */
  get over(): AbortSignal {
    return this.end.signal
  }

  /** For writes to the same database: they are applied during this term, or not at all. */
  guard(batch: WriteBatch): WriteBatch {
    return batch.check(leases, this.key, this.isMine)
  }

  async resign(): Promise<void> {
    this.end.abort()
    await this.renewing
    await this.tables.delete(leases, this.key, { if: this.isMine })
  }

  /** The lease lasts from when it was asked for, by this clock; by that of the log it lasts longer. */
  private extend(askedMs: number): void {
    clearTimeout(this.deadline)
    this.deadline = setTimeout(() => this.end.abort(), askedMs + LEASE_MS - performance.now())
  }

  private async renew(): Promise<void> {
    for (;;) {
      await pause(LEASE_MS / 4, this.over)
      if (this.over.aborted) return
      const askedMs = performance.now()
      try {
        const renewed = await this.tables.update(leases, this.key, {}, { if: this.isMine })
        if (!renewed.ok) return this.end.abort()
        if (!this.over.aborted) this.extend(askedMs)
      } catch {
        // Nobody knows whether the lease was renewed: without a success before the deadline, the term is over.
      }
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

// DelosTable as one of a server's databases: opened with its applicator and its timers, served while it is up. What it does is
// table/'s.

import type { Key } from '../base/key.ts'
import type { Applicator } from '../engine/engine.ts'
import type { EngineFactory, Stack } from '../engine/stack.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { LocalStore } from '../store/local-store.ts'
import { DEFAULT_CACHE, TableApplicator, type TableResult } from '../table/table-applicator.ts'
import { TableDatabase } from '../table/table-database.ts'
import type { TableLimits } from '../table/table-limits.ts'
import type { TableStats } from '../table/table-stats.ts'
import { Tables } from '../table/tables.ts'
import { TABLE_STACK } from './stacks.ts'

export interface TableOptions {
  readonly limits?: Partial<TableLimits>
  /** Decoded rows in memory: at most about so many, and so many bytes. Default 200 000 and 64 MiB. */
  readonly cachedRowsMax?: number
  readonly cachedBytesMax?: number
}

/** How a server opens a database. */
export type OpenDatabase = (
  name: string,
  applicator: Applicator<TableResult>,
  engines: readonly EngineFactory[],
  opened: (stack: Stack<unknown>) => void,
) => Promise<{ readonly stack: Stack<TableResult>; readonly store: Pick<LocalStore, 'prefetch'> }>

export class ServedTables {
  readonly tables: Tables
  private readonly database: TableDatabase

  private constructor(database: TableDatabase, runtime: Runtime) {
    this.database = database
    this.tables = new Tables(database, runtime)
  }

  static async open(runtime: Runtime, options: TableOptions = {}, open: OpenDatabase): Promise<ServedTables> {
    const { bytesMax, rowsMax } = DEFAULT_CACHE
    const { cachedBytesMax = bytesMax, cachedRowsMax = rowsMax, limits } = options
    const applicator = new TableApplicator({ bytesMax: cachedBytesMax, rowsMax: cachedRowsMax })
    const { stack, store } = await open('table', applicator, TABLE_STACK, ({ timerService }) => {
      if (timerService !== undefined) applicator.useTimers(timerService)
    })
    const prefetch = (keys: readonly Key[]): Promise<void> => store.prefetch(keys)
    const parts = { runtime, applicator, log: stack, store: stack, prefetch, leasedReads: stack.leasedReads }
    const database = new TableDatabase(limits === undefined ? parts : { ...parts, limits })
    if (stack.status().state === 'serving') database.startServing()
    void stack.failed.then(() => database.stopServing())
    return new ServedTables(database, runtime)
  }

  /** For metrics; undefined once its store is closed. */
  stats(): TableStats | undefined {
    return this.database.stopped ? undefined : this.database.stats()
  }

  stop(): void {
    this.database.stopServing()
  }
}

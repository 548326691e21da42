// Servers with tables over one shared log in memory, on the real engines, for tests.

import type { Key } from '../../src/base/key.ts'
import { Stack } from '../../src/engine/stack.ts'
import { BaseEngine } from '../../src/engines/base-engine/base-engine.ts'
import { batchingEngine } from '../../src/engines/batching-engine.ts'
import { timeEngine } from '../../src/engines/time/time-engine.ts'
import { VirtualLog } from '../../src/log/virtual-log.ts'
import { MemoryLogletProvider } from '../../src/loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../src/metastores/memory/memory-metastore.ts'
import { nodeRuntime } from '../../src/runtime/node-runtime.ts'
import { MemoryBackend, openMemoryStore } from '../../src/store/memory-store.ts'
import { rangeOfPrefix } from '../../src/store/sub-store.ts'
import { TABLE_PREFIX } from '../../src/table/codec/table-keys.ts'
import { TableApplicator, type TableResult } from '../../src/table/table-applicator.ts'
import { TableDatabase, type TableDatabaseOptions } from '../../src/table/table-database.ts'
import type { TableLimits } from '../../src/table/table-limits.ts'
import { Tables } from '../../src/table/tables.ts'

const runtime = nodeRuntime()

export class SharedLog {
  private readonly provider = new MemoryLogletProvider()
  private readonly register = new MemoryRegister()

  open(): Promise<VirtualLog> {
    return VirtualLog.open({
      ...runtime,
      metastore: new MemoryMetaStore(this.register),
      providers: [this.provider],
      initial: { kind: 'memory', params: {} },
    })
  }
}

export interface TableServerOptions {
  readonly shared?: SharedLog
  readonly serverId?: string
  readonly backend?: MemoryBackend
  readonly limits?: Partial<TableLimits>
  readonly prefetch?: TableDatabaseOptions['prefetch']
  readonly pieceRows?: number
}

export async function openTableServer(options: TableServerOptions = {}) {
  const { backend = new MemoryBackend(runtime), limits, serverId = 'a', shared = new SharedLog() } = options
  const store = openMemoryStore({ runtime, backend })
  const log = await shared.open()
  const stack = new Stack<TableResult>({
    ...runtime,
    serverId,
    database: 'table',
    bottom: new BaseEngine({ ...runtime, serverId, log, store }),
    engines: [batchingEngine(), timeEngine()],
    checked: true,
  })
  const applicator = new TableApplicator()
  const { timerService } = stack
  if (timerService !== undefined) applicator.useTimers(timerService)
  stack.attach(applicator, { keepsLog: true })
  await stack.start()
  await stack.whenServing()
  const prefetch = options.prefetch ?? ((keys: readonly Key[]) => store.prefetch(keys))
  const database = new TableDatabase({
    runtime,
    applicator,
    log: stack,
    store: stack,
    prefetch,
    ...(limits && { limits }),
    ...(options.pieceRows !== undefined && { pieceRows: options.pieceRows }),
  })
  database.startServing()
  return {
    db: new Tables(database, runtime),
    database,
    applicator,
    stack,
    backend,
    shared,
    content: () =>
      [...store.read().scan(rangeOfPrefix(TABLE_PREFIX))].map(
        ([key, value]) => `${JSON.stringify(key)} ${Buffer.from(value).toString('hex')}`,
      ),
    close: async () => {
      database.stopServing()
      await stack.stop()
      await log.close()
      await store.close()
    },
  }
}

export type TableServer = Awaited<ReturnType<typeof openTableServer>>

// What the log of a server that has ended says, from its first entry on: every update in its order, with what it did. For tests that
// compare it with what clients saw.

import { DelosError } from '../../src/base/delos-error.ts'
import { Stack } from '../../src/engine/stack.ts'
import { BaseEngine } from '../../src/engines/base-engine/base-engine.ts'
import type { SharedLog } from '../../src/log/shared-log.ts'
import { VirtualLog } from '../../src/log/virtual-log.ts'
import { FileLogletProvider } from '../../src/loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../../src/metastores/file/file-metastore.ts'
import { ZELOS_STACK } from '../../src/node/stacks.ts'
import { nodeRuntime } from '../../src/runtime/node-runtime.ts'
import { TreeHistory } from '../../src/sim/workloads/sessions/tree-history.ts'
import { ZelosHistory } from '../../src/sim/workloads/zelos/zelos-history.ts'
import { DataDirectory } from '../../src/store/data-directory.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import type { UpdateResult } from '../../src/zelos/requests.ts'
import { ZelosApplicator } from '../../src/zelos/zelos-applicator.ts'
import { eventually } from './wait.ts'

/** Plays the log of the database `zelos` into memory, and compares each result with a model. Writes nothing. */
export async function logHistory(dataDirectory: string): Promise<TreeHistory> {
  const runtime = nodeRuntime()
  const { clock, random, timers } = runtime
  const directory = await DataDirectory.open(dataDirectory, runtime)
  const paths = await directory.database('zelos')
  const metastore = await FileMetaStore.open(paths.meta, runtime.disk)
  const log = await VirtualLog.open({
    ...runtime,
    metastore,
    providers: [new FileLogletProvider(paths.log, runtime.disk, clock)],
    initial: { kind: 'file', params: {} },
    retention: { hours: 24, bytes: 4 * 1024 ** 3 },
  })
  const tail = await log.checkTail()
  const store = openMemoryStore({ runtime })
  const reader = 'reader'
  const stack = new Stack<UpdateResult>({
    serverId: reader,
    bottom: new BaseEngine({ serverId: reader, log: readOnly(log), store, clock, timers }),
    engines: ZELOS_STACK,
    membership: () => ({ missing: () => [], members: () => [] }),
    clock,
    timers,
    random,
    database: 'zelos',
  })
  const tree = new TreeHistory()
  const history: ZelosHistory = new ZelosHistory((update, expected) => tree.note(update, expected, history.model, 0))
  const applicator = new ZelosApplicator()
  if (stack.timerService !== undefined) applicator.useTimers(stack.timerService)
  stack.attach(
    {
      apply: (tx, entry, pos) => applicator.apply(tx, entry, pos),
      postApply: (entry, pos, result) => {
        history.note(entry.payload as Uint8Array, pos, result)
        applicator.postApply(entry, pos, result)
      },
    },
    { keepsLog: true },
  )
  await stack.start()
  const played = (): true | undefined => {
    const { cursor, failure } = stack.status()
    if (failure !== undefined) throw new Error(`the log can't be played: ${failure.message}`)
    return cursor >= tail ? true : undefined
  }
  await eventually(async () => played(), 60_000, 'the end of the log')
  await stack.stop()
  await store.close()
  await log.close()
  await metastore.close()
  await directory.release()
  return tree
}

function readOnly(log: SharedLog): SharedLog {
  return {
    maxEntryBytes: log.maxEntryBytes,
    get knownTail() {
      return log.knownTail
    },
    append: () => Promise.resolve({ kind: 'refused', cause: new DelosError('CLOSED', 'a reader proposes nothing') }),
    checkTail: () => log.checkTail(),
    readNext: (from, to, maxBytes) => log.readNext(from, to, maxBytes),
    prefixTrim: () => Promise.resolve(),
    onTailMoved: (listener) => log.onTailMoved(listener),
    oldest: () => log.oldest(),
    close: () => Promise.resolve(),
  }
}

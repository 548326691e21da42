// Plays a backup's log into a store, up to and with one position, through the same engines and applicator as a server's.

import { DelosError } from '../../base/delos-error.ts'
import type { Applicator } from '../../engine/engine.ts'
import { type EngineFactory, Stack } from '../../engine/stack.ts'
import { BaseEngine } from '../../engines/base-engine/base-engine.ts'
import { loadCursor } from '../../engines/base-engine/cursor.ts'
import { OBSERVER } from '../../engines/observer-engine.ts'
import type { LogPos } from '../../log/position.ts'
import type { SharedLog } from '../../log/shared-log.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { LocalStore } from '../../store/local-store.ts'

export interface Playing {
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'timers'>
  readonly log: SharedLog
  readonly store: LocalStore
  readonly database: string
  readonly engines: readonly EngineFactory[]
  readonly applicator: Applicator<unknown>
  /** Called before anything is applied. */
  readonly opened: (stack: Stack<unknown>) => void
  /** Every so often: the first position not applied. */
  progress(cursor: LogPos): void
}

const PROGRESS_MS = 200

/** Resolves when everything below the log's tail is applied and durable. Rejects with what stopped it. */
export async function playBackup(playing: Playing): Promise<void> {
  const { applicator, database, engines, log, opened, progress, runtime, store } = playing
  const { clock, random, timers } = runtime
  // Of a server that is nobody: nothing is proposed.
  const serverId = 'restore'
  const stack = new Stack<unknown>({
    serverId,
    bottom: new BaseEngine({ serverId, log, store, clock, timers }),
    engines,
    clock,
    timers,
    random,
    database,
    jointNames: [OBSERVER],
  })
  stack.attach(applicator)
  opened(stack)
  let ended = false
  const tell = (): void => {
    if (ended) return
    progress(stack.status().cursor)
    timers.after(PROGRESS_MS, tell)
  }
  try {
    await stack.start()
    tell()
    await stack.whenServing()
  } finally {
    ended = true
    await stack.stop()
  }
  await store.flush()
  const [cursor, tail] = [loadCursor(store.read()), log.knownTail]
  progress(cursor)
  if (cursor !== tail) throw new DelosError('CORRUPT', `the backup was played to ${cursor}, not to ${tail}`)
}

// The last step of a restore: a log that goes on where the restored content ends, and in it, first of all, that a new history begins.
// From here on the directory is one as any other.

import { DelosError } from '../../base/delos-error.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import { LEASE, LeaseEngine } from '../../engines/lease/lease-engine.ts'
import { VIEW_TRACKING, ViewTrackingEngine } from '../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../log/position.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { DatabasePaths, DataDirectory } from '../../store/data-directory.ts'
import { Database, DEFAULT_RETENTION } from '../open-database.ts'
import type { RestorableDatabase } from './restorable-database.ts'

export interface NewHistory {
  readonly runtime: Runtime
  readonly directory: DataDirectory
  readonly database: string
  readonly definition: RestorableDatabase
  readonly engines: readonly EngineFactory[]
  readonly paths: DatabasePaths
  /** The first position of the new history. */
  readonly start: LogPos
  readonly payload: Uint8Array | undefined
  readonly logger: Logger
}

/** How long the engines may take to be ready, and this server to be in the view. */
const READY_MS = 30_000
const LOOK_MS = 20

export async function beginHistory(history: NewHistory): Promise<void> {
  const { database, definition, directory, engines, logger, paths, payload, runtime, start } = history
  const { applicator, opened } = definition.makeApplicator()
  const running = await Database.open<unknown>({
    name: database,
    paths,
    serverId: directory.serverId,
    runtime,
    retention: DEFAULT_RETENTION,
    logger,
    engines,
    observed: false,
    traceSample: 0,
    applicator,
    opened: ({ stack }) => opened(stack),
    logStart: start,
  })
  try {
    const { failure, state } = running.stack.status()
    if (state !== 'serving') throw new DelosError('STOPPED', `the restored database is ${state}: ${failure?.message}`)
    await endLease(running, runtime)
    if (payload !== undefined) await running.stack.propose(payload)
    await leaveOthers(running, directory.serverId, runtime)
  } finally {
    await running.close()
  }
}

/**
 * Whoever held one in the old history would hold back everybody in the new one. And what was held back for that one (timers that had
 * fired) goes up here: the servers of the new history may have no Lease.
 */
async function endLease({ stack }: Database, { clock, timers }: Runtime): Promise<void> {
  const lease = stack.layer(LEASE)
  if (!(lease instanceof LeaseEngine)) return
  const endMs = clock.monotonicMs() + READY_MS
  for (;;) {
    if (lease.holder !== undefined) await lease.end()
    if (lease.holder === undefined && !lease.isHoldingBack) return
    if (clock.monotonicMs() > endMs)
      throw new DelosError('TIMEOUT', 'the lease of the old history is still held, or holds back')
    await new Promise<void>((resolve) => timers.after(LOOK_MS, resolve))
  }
}

/** The servers of the old history are none of the new one: nothing is to wait for them, or for their votes. */
async function leaveOthers(running: Database, serverId: string, { clock, timers }: Runtime): Promise<void> {
  const { stack } = running
  const view = stack.layer(VIEW_TRACKING)
  if (!(view instanceof ViewTrackingEngine) || !view.flags.enabled) return
  const endMs = clock.monotonicMs() + READY_MS
  while (!stack.membership.members(stack.read()).includes(serverId)) {
    if (clock.monotonicMs() > endMs) throw new DelosError('TIMEOUT', 'this server did not come into the view')
    await new Promise<void>((resolve) => timers.after(LOOK_MS, resolve))
  }
  for (const member of stack.membership.members(stack.read())) if (member !== serverId) await view.leave(member)
}

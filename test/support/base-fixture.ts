// A test over one server of Base alone and a log that does as it is told.

import { it } from 'vitest'
import { DelosError } from '../../src/base/delos-error.ts'
import { entryOf } from '../../src/engine/entry.ts'
import { encodeEntry } from '../../src/engine/entry-codec.ts'
import { type Simulation, simulate } from '../../src/sim/simulation.ts'
import { LedgerServer, type LedgerServerOptions } from './ledger-server.ts'
import { ScriptedLog } from './scripted-log.ts'

export interface BaseFixture {
  readonly world: Simulation
  readonly log: ScriptedLog
  readonly server: LedgerServer
}

/** A test in virtual time. Nothing runs until `server.start()`. */
export function baseTest(
  name: string,
  body: (fixture: BaseFixture) => Promise<void>,
  options: Partial<LedgerServerOptions> = {},
): void {
  it(name, async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new ScriptedLog()
      const server = new LedgerServer({
        world,
        name: 'a',
        engines: [],
        openLog: async () => log,
        keepsLog: false,
        ...options,
      })
      await body({ world, log, server })
    })
  })
}

/** The bytes of an entry without headers. */
export function logged(value: string): Buffer {
  return encodeEntry(entryOf(Buffer.from(value)))
}

/** Why the promise was rejected. */
export async function reasonOf(promise: Promise<unknown>): Promise<DelosError> {
  const reason: unknown = await promise.then(
    (value) => new Error(`resolved with ${String(value)}`),
    (thrown: unknown) => thrown,
  )
  if (reason instanceof DelosError) return reason
  throw reason
}

/** Runs all promise reactions that are due, and no timer. */
export async function thisTurn(): Promise<void> {
  for (let i = 0; i < 50; i++) await null
}

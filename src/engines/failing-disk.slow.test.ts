// Base, Batching and the virtual log over files, with one failing disk operation at every place: every proposal is told, what
// was resolved survives, what was refused is nowhere, and the server starts again.

import { describe, expect, it } from 'vitest'
import { FailingDisk, type PlannedFailure } from '../../test/support/failing-disk.ts'
import { ledgerTexts } from '../../test/support/ledger.ts'
import { LedgerServer } from '../../test/support/ledger-server.ts'
import type { DelosError } from '../base/delos-error.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../metastores/file/file-metastore.ts'
import type { SimRuntime } from '../sim/sim-server.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'

const FILE = { kind: 'file', params: {} }

async function openLog({ clock, random, timers }: SimRuntime, disk: FailingDisk): Promise<VirtualLog> {
  return VirtualLog.open({
    metastore: await FileMetaStore.open('meta', disk),
    providers: [new FileLogletProvider('log', disk, clock, { segmentBytes: 4096, cacheBytes: 300, reserveBytes: 0 })],
    clock,
    timers,
    random,
    initial: FILE,
    retention: { hours: 0, bytes: 0 },
    rollForwardMs: 20,
  })
}

/** What proposers were told. */
class Told {
  readonly resolved: string[] = []
  readonly refused: string[] = []

  async propose(server: LedgerServer, text: string): Promise<void> {
    await server.propose(text).then(
      () => this.resolved.push(text),
      (error: DelosError) => error.code === 'INDETERMINATE' || this.refused.push(text),
    )
  }
}

async function live(world: Simulation, server: LedgerServer, told: Told): Promise<void> {
  const proposals: Promise<void>[] = []
  for (let i = 0; i < 40; i++) {
    proposals.push(told.propose(server, `${i}-${'x'.repeat(200)}`))
    if (i % 4 === 0) await world.sleep(7)
    if (i % 10 === 9) await (server.log as VirtualLog).extend(FILE).catch(() => undefined)
  }
  await Promise.all(proposals)
  await told.propose(server, 'last')
}

/** Returns what failed, or undefined if life ended before. */
async function attempt(seed: number, plan: PlannedFailure): Promise<string | undefined> {
  return simulate({ seed }, async (world) => {
    const machine = world.server('a')
    const disks: FailingDisk[] = []
    const server = new LedgerServer({
      world,
      name: 'a',
      openLog: async () => {
        const { disk } = machine.runtime
        for (const directory of ['meta', 'log']) await disk.makeDir(directory)
        await disk.syncDir('.')
        disks.push(new FailingDisk(disk, disks.length === 0 ? plan : undefined))
        return openLog(machine.runtime, disks.at(-1) as FailingDisk)
      },
      keepsLog: false,
      limits: { flushMs: 50 },
    })
    const told = new Told()
    const started = await server.startServing().then(
      () => true,
      () => false,
    )
    if (started) await live(world, server, told)
    else expect(disks[0]?.failed).toBeDefined()
    server.crash()
    machine.crash()
    await server.startServing()
    const texts = ledgerTexts(server.stack.read())
    expect(new Set(texts).size).toBe(texts.length)
    for (const text of told.resolved) expect(texts).toContain(text)
    for (const text of told.refused) expect(texts).not.toContain(text)
    await server.propose('more')
    await server.stop()
    await server.log.close()
    return disks[0]?.failed
  })
}

describe('the storage half after any one failure of its disk', () => {
  for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
    it(`keeps its promises (${code})`, async () => {
      let next = 0
      for (let at = 0; at === next; at++) {
        const when = at % 2 === 0 ? 'before' : 'after'
        const failed = await attempt(at, { at, when, code }).catch((error) => {
          throw new Error(`change ${at} failed ${when} its effect`, { cause: error })
        })
        if (failed !== undefined) next = at + 1
      }
      expect(next).toBeGreaterThan(100)
    }, 60_000)
  }
})

// A whole storage half (stack, log over files, store) ended in order at any moment under load: everybody is told, and nothing
// is left behind, no timer and no wait.

import { expect, it } from 'vitest'
import { LedgerServer } from '../../test/support/ledger-server.ts'
import { VirtualLog } from '../log/virtual-log.ts'
import { FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
import { FileMetaStore } from '../metastores/file/file-metastore.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'

const FILE = { kind: 'file', params: {} }

async function openLog(world: Simulation): Promise<VirtualLog> {
  const { clock, disk, random, timers } = world.server('a').runtime
  for (const directory of ['meta', 'log']) await disk.makeDir(directory)
  await disk.syncDir('.')
  return VirtualLog.open({
    metastore: await FileMetaStore.open('meta', disk),
    providers: [new FileLogletProvider('log', disk, clock, { segmentBytes: 4096, cacheBytes: 300, reserveBytes: 0 })],
    clock,
    timers,
    random,
    initial: FILE,
    retention: { hours: 0, bytes: 0 },
  })
}

/** One call of everything that waits, every virtual millisecond; counts the calls that have not been answered. */
async function load(world: Simulation, server: LedgerServer, waiting: { count: number }): Promise<void> {
  const track = (call: Promise<unknown>) => {
    const ended = () => waiting.count--
    waiting.count++
    call.then(ended, ended)
  }
  for (let i = 0; i < 40; i++) {
    track(server.propose(`${i}-${'x'.repeat(i % 9 === 8 ? 3000 : 100)}`))
    if (i % 5 === 0) track(server.stack.sync())
    if (i % 7 === 0) track((server.log as VirtualLog).extend(FILE))
    if (i % 7 === 3) track(server.store.openView({ deadlineMs: 1000 }).then((view) => view.close()))
    if (i % 4 === 0) track(server.store.local.put('k', Buffer.from('v')))
    await world.sleep(1)
  }
}

it('tells everybody who waits, and leaves no timer, whenever it is ended', async () => {
  for (let moment = 0; moment < 80; moment++) {
    await simulate({ seed: moment }, async (world) => {
      const server = new LedgerServer({ world, name: 'a', openLog: () => openLog(world), limits: { flushMs: 30 } })
      const waiting = { count: 0 }
      await server.startServing()
      const loaded = load(world, server, waiting)
      await world.sleep(moment * 0.5)
      await server.stack.stop()
      await server.log.close()
      await server.store.close()
      await loaded
      // What answers at once answers in the same moment.
      await world.sleep(0)
      expect(waiting.count, `ended after ${moment * 0.5} ms`).toBe(0)
      expect(world.queue.size, `ended after ${moment * 0.5} ms`).toBe(0)
    })
  }
})

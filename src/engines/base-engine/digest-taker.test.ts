import { describe, expect, it } from 'vitest'
import { baseTest, logged } from '../../../test/support/base-fixture.ts'
import { LedgerServer } from '../../../test/support/ledger-server.ts'
import { ScriptedLog } from '../../../test/support/scripted-log.ts'
import type { BottomEngine } from '../../engine/bottom-engine.ts'
import { digestRequest, type PositionedDigest } from '../../engine/digest.ts'
import { encodeEntry } from '../../engine/entry-codec.ts'
import { simulate } from '../../sim/simulation.ts'
import { subStorePrefix } from '../../store/sub-store.ts'

const request = encodeEntry(digestRequest())

function lastDigest(server: LedgerServer): PositionedDigest | undefined {
  return (server.stack as unknown as { bottom: BottomEngine }).bottom.lastDigest
}

describe('Base, taking digests', () => {
  baseTest('takes them of the content right behind the entry that asks', async ({ log, server, world }) => {
    await server.startServing()
    log.store(logged('one'))
    log.announce()
    await world.sleep(1)
    const expected = (await server.store.digest()).get('ledger')
    for (const bytes of [request, logged('two'), logged('three')]) log.store(bytes)
    log.announce()
    await world.sleep(10)
    expect(server.stack.status()).toMatchObject({ cursor: 4, transactions: 3, digestsTaken: 1, digestsSkipped: 0 })
    expect(lastDigest(server)).toEqual({ position: 1, ranges: new Map([['ledger', expected]]) })
    expect((await server.store.digest()).get('ledger')).not.toBe(expected)
  })

  baseTest('takes one for a request that the log holds twice', async ({ log, server, world }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 2 })
    await server.stack.propose(digestRequest())
    await world.sleep(10)
    expect(server.stack.status()).toMatchObject({ digestsTaken: 1, duplicatesDropped: 1, cursor: 2 })
    expect(server.ledger.seen).toEqual([])
  })

  baseTest('takes none before it serves', async ({ log, server, world }) => {
    for (const bytes of [logged('one'), request, logged('two')]) log.store(bytes)
    await server.startServing()
    await world.sleep(10)
    expect(server.stack.status()).toMatchObject({ cursor: 3, digestsTaken: 0 })
    expect(lastDigest(server)).toBe(undefined)
  })

  baseTest('skips and counts what the store has no room for', async ({ log, server, world }) => {
    await server.startServing()
    for (let i = 0; i < 20; i++) for (const bytes of [logged(`${i}`), request]) log.store(bytes)
    log.announce()
    await world.sleep(100)
    const { cursor, digestsSkipped, digestsTaken } = server.stack.status()
    expect([cursor, digestsTaken, digestsSkipped]).toEqual([40, 8, 12])
    expect(lastDigest(server)?.position).toBe(15)
  })

  baseTest(
    'stops the database when the store fails',
    async ({ log, server }) => {
      await server.startServing()
      log.store(request)
      log.announce()
      expect(await server.stack.failed).toMatchObject({ code: 'IO_ERROR', message: expect.stringContaining('no disk') })
    },
    {
      wrapBackend: (inner) =>
        Object.assign(Object.create(inner) as typeof inner, { digest: () => Promise.reject(new Error('no disk')) }),
    },
  )
})

describe('servers that play the same log', () => {
  it('take equal digests, whatever their slices', async () => {
    let compared = 0
    for (let seed = 1; seed <= 10; seed++) {
      const [one, two] = await digestsOf(seed, () => undefined)
      for (const [position, ranges] of one) {
        if (!two.has(position)) continue
        compared++
        expect(two.get(position)).toEqual(ranges)
      }
    }
    expect(compared).toBeGreaterThan(100)
  })

  it('take different digests once one of them is not deterministic, and of no range that it left alone', async () => {
    const at = 20
    const [one, two] = await digestsOf(7, (server, i) => {
      const { ledger } = server
      const apply = ledger.apply.bind(ledger)
      ledger.apply = (tx, entry, pos) => {
        tx.put(`${subStorePrefix('same')}${pos % 7}`, Buffer.from(String(pos)))
        if (pos === at && i === 1) tx.put(`${subStorePrefix('ledger')}moon phase`, Buffer.from('full'))
        return apply(tx, entry, pos)
      }
    })
    let different = 0
    for (const [position, ranges] of one) {
      const others = two.get(position)
      if (others === undefined) continue
      expect(others.get('same')).toBe(ranges.get('same'))
      expect(others.get('ledger') === ranges.get('ledger')).toBe(position < at)
      if (position > at) different++
    }
    expect(different).toBeGreaterThan(5)
  })
})

type Digests = ReadonlyMap<number, ReadonlyMap<string, string>>

/** The digests by position at two servers over one log with requests, read in slices of random sizes; `change` may change each. */
function digestsOf(seed: number, change: (server: LedgerServer, i: number) => void): Promise<[Digests, Digests]> {
  return simulate({ seed }, async (world) => {
    const { random } = world
    const logs = [new ScriptedLog()]
    logs.push(new ScriptedLog(logs[0]?.entries))
    const servers = logs.map(
      (log, i) =>
        new LedgerServer({
          world,
          name: `server-${i}`,
          engines: [],
          openLog: async () => log,
          limits: { sliceBytes: random.integer(1, 300), flushMs: random.integer(1, 20) },
          layer: { layerKeysMax: random.integer(10, 60) },
        }),
    )
    for (const server of servers) await server.startServing()
    servers.forEach(change)
    const found = servers.map(() => new Map<number, ReadonlyMap<string, string>>())
    for (let step = 0; step < 200; step++) {
      for (let burst = random.below(4); burst > 0; burst--) {
        logs[0]?.store(random.chance(0.3) ? request : logged(`${random.chance(0.2) ? '!' : ''}${step}`))
      }
      if (random.chance(0.6)) random.pick(logs).announce()
      await world.sleep(random.below(3))
      servers.forEach((server, i) => {
        const digest = lastDigest(server)
        if (digest !== undefined) found[i]?.set(digest.position, digest.ranges)
      })
    }
    for (const server of servers) await server.stop()
    return [found[0] ?? new Map(), found[1] ?? new Map()]
  })
}

import { describe, expect } from 'vitest'
import { baseTest, logged, reasonOf, thisTurn } from '../../../test/support/base-fixture.ts'
import { contentOf, ledgerTexts } from '../../../test/support/ledger.ts'
import { Gate } from '../../../test/support/scripted-log.ts'
import { DelosError } from '../../base/delos-error.ts'
import { entryOf } from '../../engine/entry.ts'

const text = (value: string) => Buffer.from(value)

describe('Base, applying', () => {
  baseTest(
    'applies what is at hand in the turn in which the tail moves, in one transaction',
    async ({ log, server, world }) => {
      await server.startServing()
      const { nowMs } = world.queue
      for (const value of ['one', 'two', 'three']) log.store(logged(value))
      log.announce()
      await thisTurn()
      expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two', 'three'])
      expect(world.queue.nowMs).toBe(nowMs)
      expect(server.stack.status()).toMatchObject({ appliedEntries: 3, transactions: 1, cursor: 3 })
    },
  )

  baseTest('calls every postApply of a transaction before the first completion', async ({ server, log }) => {
    await server.startServing()
    const gate = new Gate()
    log.appendGate = gate.wait
    const seenAtCompletion: number[] = []
    const done = ['one', 'two'].map(
      (value) =>
        new Promise<void>((resolve, reject) => {
          const completed = () => {
            seenAtCompletion.push(server.ledger.seen.length)
            resolve()
          }
          server.stack.submit(entryOf(text(value)), { resolve: completed, reject })
        }),
    )
    const read = new Gate()
    log.readGate = read.wait
    gate.release()
    await thisTurn()
    read.release()
    await Promise.all(done)
    expect(server.stack.status().transactions).toBe(1 + 1)
    expect(seenAtCompletion).toEqual([1, 2])
  })

  baseTest(
    'gives the event loop a turn after sliceBytes',
    async ({ log, server }) => {
      await server.startServing()
      for (let i = 0; i < 100; i++) log.store(logged('x'.repeat(100)))
      log.announce()
      await thisTurn()
      const { cursor, transactions } = server.stack.status()
      expect(cursor).toBeGreaterThanOrEqual(10)
      expect(cursor).toBeLessThan(15)
      expect(transactions).toBe(1)
      await server.stack.sync()
      expect(server.stack.status().cursor).toBe(100)
    },
    { limits: { sliceBytes: 1_000 } },
  )

  baseTest(
    'waits while the store takes no more, and then goes on',
    async ({ log, server, world }) => {
      await server.startServing()
      for (let i = 0; i < 200; i++) log.store(logged('x'.repeat(100)))
      log.announce()
      // Many turns of the event loop, and less than a write to disk takes.
      await world.sleep(0.1)
      const { cursor, transactions } = server.stack.status()
      expect(server.store.full).toBe(true)
      expect(cursor).toBeLessThan(100)
      expect(transactions).toBeGreaterThan(1)
      await server.stack.sync()
      expect(server.stack.status().cursor).toBe(200)
    },
    { limits: { sliceBytes: 1_000 }, layer: { layerBytesMax: 3_000 } },
  )

  baseTest('passes holes of a sparse log, also at its end', async ({ log, server }) => {
    await server.startServing()
    for (const bytes of [undefined, logged('one'), undefined, logged('two'), undefined]) log.store(bytes)
    await server.stack.sync()
    expect(server.stack.status()).toMatchObject({ cursor: 5, appliedEntries: 2 })
    await server.stop()
    await server.startServing()
    expect(server.stack.status()).toMatchObject({ cursor: 5, appliedEntries: 0 })
  })

  baseTest('passes a voided entry as a no-op', async ({ log, server }) => {
    for (const value of ['one', '?', 'two']) log.store(logged(value))
    log.voided.add(1)
    await server.startServing()
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two'])
    expect(server.stack.status()).toMatchObject({ cursor: 3, voidedEntries: 1 })
  })

  baseTest('replays after a crash what was not flushed, to equal content', async ({ server }) => {
    await server.startServing()
    for (const value of ['one', 'two', '!three', 'four']) await server.propose(value)
    const before = contentOf(server.stack.read())
    server.crash()
    await server.startServing()
    expect(contentOf(server.stack.read())).toEqual(before)
    expect(server.stack.status().appliedEntries).toBeGreaterThan(0)
  })

  baseTest('reads again later when the log can not be read for the moment', async ({ log, server, world }) => {
    await server.startServing()
    let failures = 3
    log.readGate = async () => {
      if (failures-- > 0) throw new DelosError('TIMEOUT', 'not now')
    }
    await expect(server.propose('one')).resolves.toBe(1)
    expect(world.queue.nowMs).toBeGreaterThan(20)
  })

  baseTest('refuses proposals until it has applied the tail that it saw at start', async ({ log, server }) => {
    log.store(logged('one'))
    const gate = new Gate()
    log.readGate = gate.wait
    await server.start()
    expect(server.stack.status().state).toBe('catching up')
    expect((await reasonOf(server.propose('two'))).code).toBe('NOT_READY')
    gate.release()
    await server.stack.whenServing()
    await expect(server.propose('two')).resolves.toBe(2)
  })

  baseTest('refuses to start behind the end of a log that it has already applied', async ({ log, server }) => {
    await server.startServing()
    await server.propose('one')
    await server.stop()
    log.entries.length = 0
    expect(await reasonOf(server.start())).toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('lost its end'),
    })
  })
})

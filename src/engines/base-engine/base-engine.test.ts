import { describe, expect } from 'vitest'
import { baseTest, logged, reasonOf } from '../../../test/support/base-fixture.ts'
import { ledgerTexts } from '../../../test/support/ledger.ts'
import { LedgerServer } from '../../../test/support/ledger-server.ts'
import { Gate } from '../../../test/support/scripted-log.ts'
import { DelosError } from '../../base/delos-error.ts'
import { controlEntry, entryOf } from '../../engine/entry.ts'
import type { LogPos } from '../../log/position.ts'

const text = (value: string) => Buffer.from(value)

describe('Base, proposing', () => {
  baseTest('resolves a proposal with what apply of this very entry returned', async ({ server }) => {
    await server.startServing()
    const results = await Promise.all(['one', '!two', 'three'].map((value) => server.propose(value)))
    expect(results).toEqual([1, 'rejected', 3])
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'three'])
  })

  baseTest('matches results by identity, not by the position that append answers', async ({ log, server }) => {
    await server.startServing()
    // Two foreign entries slip in before ours, and the answer names a wrong position.
    log.appendScripts.push({ copies: 1, outcome: { kind: 'appended', pos: 0 as LogPos } })
    log.store(logged('foreign 1'))
    log.store(logged('foreign 2'))
    await expect(server.propose('ours')).resolves.toBe(3)
  })

  baseTest('applies an entry once that the log holds three times', async ({ log, server }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 3 })
    await expect(server.propose('one')).resolves.toBe(1)
    await expect(server.propose('two')).resolves.toBe(2)
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two'])
    expect(server.stack.status().duplicatesDropped).toBe(2)
  })

  baseTest('drops a copy that arrives after a restart', async ({ log, server }) => {
    await server.startServing()
    await server.propose('one')
    await server.stop()
    log.store(log.entries[0])
    await server.startServing()
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
    expect(server.stack.status()).toMatchObject({ incarnation: 2, duplicatesDropped: 1, cursor: 2 })
  })

  baseTest('never proposes in an incarnation before its number is durable', async ({ server }) => {
    for (let incarnation = 1; incarnation <= 4; incarnation++) {
      await server.start()
      expect(server.stack.status().incarnation).toBe(incarnation)
      server.crash()
    }
  })

  baseTest('goes on under a new name when its store was lost and the log was not', async ({ log, server, world }) => {
    await server.startServing()
    for (const value of ['one', 'two']) await server.propose(value)
    await server.stop()
    await server.startServing()
    await server.propose('three')
    await server.stop()
    const again = new LedgerServer({ world, name: 'a', engines: [], openLog: async () => log })
    await again.startServing()
    await expect(again.propose('four')).resolves.toBe(4)
    expect(again.stack.status()).toMatchObject({ incarnation: 3, duplicatesDropped: 0 })
    await again.stop()
    await again.startServing()
    await expect(again.propose('five')).resolves.toBe(5)
    expect(again.stack.status().incarnation).toBe(4)
    await again.stop()
  })

  baseTest('rejects with the cause if the log refused, and nothing is applied', async ({ log, server }) => {
    await server.startServing()
    const cause = new DelosError('DISK_FULL', 'no space')
    log.appendScripts.push({ copies: 0, outcome: { kind: 'refused', cause } })
    expect(await reasonOf(server.propose('one'))).toBe(cause)
    await expect(server.propose('two')).resolves.toBe(1)
    expect(server.stack.status()).toMatchObject({ refusedAppends: 1, pendingProposals: 0, pendingBytes: 0 })
  })

  baseTest('stops the database if the log refused because it failed for good', async ({ log, server }) => {
    await server.startServing()
    await server.propose('one')
    const cause = new DelosError('IO_ERROR', 'the sync failed')
    log.appendScripts.push({ copies: 0, outcome: { kind: 'refused', cause } })
    expect(await reasonOf(server.propose('two'))).toBe(cause)
    expect(server.stack.status()).toMatchObject({ state: 'stopped', failure: { code: 'IO_ERROR', position: 1 } })
    expect((await reasonOf(server.propose('three'))).code).toBe('STOPPED')
    expect((await server.stack.failed).message).toContain('the sync failed')
  })

  const lost = { kind: 'indeterminate', cause: new DelosError('TIMEOUT', 'no answer') } as const

  baseTest('waits for the entry when the log can not tell, and resolves if it appears', async ({ log, server }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 1, outcome: lost })
    await expect(server.propose('one')).resolves.toBe(1)
    expect(server.stack.status().indeterminateAppends).toBe(1)
  })

  baseTest('says INDETERMINATE if it does not appear in time', async ({ log, server, world }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 0, outcome: lost })
    const startMs = world.clock.monotonicMs()
    expect((await reasonOf(server.propose('one'))).code).toBe('INDETERMINATE')
    const waitedMs = world.clock.monotonicMs() - startMs
    expect(waitedMs).toBeGreaterThanOrEqual(3_000)
    expect(waitedMs).toBeLessThan(6_000)
  })

  baseTest('says INDETERMINATE if append never answers', async ({ log, server }) => {
    await server.startServing()
    log.appendGate = () => new Promise(() => undefined)
    expect((await reasonOf(server.propose('one'))).code).toBe('INDETERMINATE')
  })

  baseTest(
    'takes exactly proposalsMax proposals in flight',
    async ({ log, server }) => {
      await server.startServing()
      const gate = new Gate()
      log.appendGate = gate.wait
      const flying = ['1', '2', '3'].map((value) => server.propose(value))
      const refused = await reasonOf(server.propose('4'))
      expect(refused).toMatchObject({ code: 'OVERLOADED', message: expect.stringContaining('proposalsMax: 3') })
      gate.release()
      await expect(Promise.all(flying)).resolves.toEqual([1, 2, 3])
      await expect(server.propose('5')).resolves.toBe(4)
    },
    { limits: { proposalsMax: 3 } },
  )

  baseTest(
    'takes proposalBytesMax bytes in flight, and one proposal whatever its size',
    async ({ log, server }) => {
      await server.startServing()
      const gate = new Gate()
      log.appendGate = gate.wait
      const flying = [server.propose('x'.repeat(5_000))]
      const refused = await reasonOf(server.propose('y'))
      expect(refused).toMatchObject({ code: 'OVERLOADED', message: expect.stringContaining('proposalBytesMax') })
      gate.release()
      await expect(Promise.all(flying)).resolves.toEqual([1])
    },
    { limits: { proposalBytesMax: 1_000 } },
  )

  const control = (server: LedgerServer): Promise<unknown> =>
    new Promise((resolve, reject) => {
      server.stack.submit(controlEntry('other', text('x')), { resolve, reject })
    })

  baseTest(
    'keeps room for entries without payload where proposals fill all the rest, and no more than that',
    async ({ log, server }) => {
      await server.startServing()
      const gate = new Gate()
      log.appendGate = gate.wait
      const flying = [server.propose('1'), server.propose('2')]
      expect((await reasonOf(server.propose('3'))).code).toBe('OVERLOADED')
      const controls = [control(server), control(server)]
      expect((await reasonOf(control(server))).code).toBe('OVERLOADED')
      expect((await reasonOf(server.propose('4'))).code).toBe('OVERLOADED')
      gate.release()
      await Promise.all([...flying, ...controls])
      expect(ledgerTexts(server.stack.read())).toEqual(['1', '2'])
    },
    { limits: { proposalsMax: 2, controlReserve: 2 } },
  )

  baseTest(
    'keeps bytes for them, too',
    async ({ log, server }) => {
      await server.startServing()
      const gate = new Gate()
      log.appendGate = gate.wait
      const flying = server.propose('x'.repeat(5_000))
      expect((await reasonOf(control(server))).message).toContain('proposalBytesMax')
      gate.release()
      await flying
      log.appendGate = () => new Promise(() => undefined)
      void server.propose('x'.repeat(950)).catch(() => undefined)
      expect((await reasonOf(server.propose('y'.repeat(50)))).code).toBe('OVERLOADED')
      void control(server).catch(() => undefined)
      expect(server.stack.status().pendingProposals).toBe(2)
    },
    { limits: { proposalBytesMax: 1_000, controlReserveBytes: 100 } },
  )

  baseTest('takes an entry as large as the log does, and no larger', async ({ log, server }) => {
    await server.startServing()
    await server.propose('x')
    log.maxEntryBytes = (log.entries[0] as Uint8Array).length + 9
    await expect(server.propose('x'.repeat(10))).resolves.toBe(2)
    const refused = await reasonOf(server.propose('x'.repeat(11)))
    expect(refused).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('maxEntryBytes') })
  })

  baseTest('tells the times of a proposal while its completion is called', async ({ log, server, world }) => {
    await server.startServing()
    log.appendGate = () => world.sleep(7)
    const proposedMs = world.clock.monotonicMs()
    await new Promise<void>((resolve, reject) => {
      server.stack.submit(entryOf(text('one')), {
        resolve: () => {
          const times = server.stack.lastTimes
          expect(times.proposedMs).toBe(proposedMs)
          expect(times.applyStartMs).toBeGreaterThanOrEqual(proposedMs + 7)
          expect(times.appendedMs).toBeLessThanOrEqual(times.applyStartMs)
          expect(times.applyEndMs).toBeGreaterThanOrEqual(times.applyStartMs)
          resolve()
        },
        reject,
      })
    })
  })
})

describe('Base, stopping', () => {
  baseTest('rejects what waits and what comes', async ({ log, server }) => {
    await server.startServing()
    log.appendGate = new Gate().wait
    log.checkTailGate = new Gate().wait
    const waiting = [reasonOf(server.propose('one')), reasonOf(server.stack.sync())]
    await server.stack.stop()
    await server.stack.stop()
    expect((await Promise.all(waiting)).map((error) => error.code)).toEqual(['INDETERMINATE', 'CLOSED'])
    expect((await reasonOf(server.propose('two'))).code).toBe('CLOSED')
    expect((await reasonOf(server.stack.sync())).code).toBe('CLOSED')
    expect(server.stack.status().state).toBe('closed')
  })
})

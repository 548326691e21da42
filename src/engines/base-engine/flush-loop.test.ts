import { describe, expect } from 'vitest'
import { baseTest } from '../../../test/support/base-fixture.ts'
import { ledgerTexts } from '../../../test/support/ledger.ts'
import type { LogPos } from '../../log/position.ts'

describe('Base, flushing and trimming', () => {
  baseTest(
    'makes durable what it applied after flushMs, then trims behind it; idle it does neither',
    async ({ log, server, world }) => {
      await server.startServing()
      await server.propose('one')
      await server.propose('two')
      expect(server.stack.status()).toMatchObject({ durableCursor: 0, cursor: 2 })
      await world.sleep(150)
      expect(server.stack.status().durableCursor).toBe(2)
      expect(log.trims).toEqual([2])
      const { flushes } = server.store.stats
      await world.sleep(10_000)
      expect(server.store.stats.flushes).toBe(flushes)
      expect(log.trims).toEqual([2])
    },
    { limits: { flushMs: 100 } },
  )

  baseTest(
    'flushes at once after flushBytes',
    async ({ server, world }) => {
      await server.startServing()
      await server.propose('x'.repeat(500))
      await world.sleep(50)
      expect(server.stack.status().durableCursor).toBe(0)
      await server.propose('y'.repeat(600))
      await world.sleep(50)
      expect(server.stack.status().durableCursor).toBe(2)
    },
    { limits: { flushMs: 1_000_000, flushBytes: 1_000 } },
  )

  baseTest(
    'trims no further than the layers above allow',
    async ({ log, server, world }) => {
      await server.startServing()
      for (const value of ['one', 'two', 'three']) await server.propose(value)
      server.stack.engine.setTrimPrefix(2 as LogPos)
      await world.sleep(150)
      expect(log.trims).toEqual([2])
      expect(server.stack.status()).toMatchObject({ durableCursor: 3, trimPrefix: 2 })
    },
    { limits: { flushMs: 100 }, keepsLog: true },
  )

  baseTest(
    'never trims past what survives a crash',
    async ({ log, server, world }) => {
      await server.startServing()
      for (let i = 0; i < 40; i++) {
        await server.propose(`${i}`)
        await world.sleep(world.random.below(20))
        if (!world.random.chance(0.2)) continue
        log.trimmedTo = Math.max(log.trimmedTo, ...log.trims)
        server.crash()
        await server.startServing()
      }
      expect(ledgerTexts(server.stack.read()).length).toBe(40)
      expect(log.trims.length).toBeGreaterThan(3)
    },
    { limits: { flushMs: 30 } },
  )

  baseTest('is durable when it was stopped in order', async ({ server }) => {
    await server.startServing()
    await server.propose('one')
    await server.stack.stop()
    server.crash()
    await server.startServing()
    expect(server.stack.status()).toMatchObject({ cursor: 1, appliedEntries: 0 })
  })
})

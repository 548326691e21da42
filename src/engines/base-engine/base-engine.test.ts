import { describe, expect, it } from 'vitest'
import { contentOf, ledgerTexts } from '../../../test/support/ledger.ts'
import { LedgerServer, type LedgerServerOptions } from '../../../test/support/ledger-server.ts'
import { Gate, ScriptedLog } from '../../../test/support/scripted-log.ts'
import { DelosError } from '../../base/delos-error.ts'
import { controlEntry, entryOf, withHeader } from '../../engine/entry.ts'
import { encodeEntry } from '../../engine/entry-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'

const text = (value: string) => Buffer.from(value)
const logged = (value: string) => encodeEntry(entryOf(text(value)))

interface Fixture {
  readonly world: Simulation
  readonly log: ScriptedLog
  readonly server: LedgerServer
}

/** A test over one server of Base alone and a log that does as it is told. Nothing runs until `server.start()`. */
function test(
  name: string,
  body: (fixture: Fixture) => Promise<void>,
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

async function reasonOf(promise: Promise<unknown>): Promise<DelosError> {
  const reason: unknown = await promise.then(
    (value) => {
      throw new Error(`resolved with ${String(value)}`)
    },
    (thrown: unknown) => thrown,
  )
  if (reason instanceof DelosError) return reason
  throw reason
}

/** All promise reactions that are due, and no timer. */
async function thisTurn(): Promise<void> {
  for (let i = 0; i < 50; i++) await null
}

describe('Base, proposing', () => {
  test('resolves a proposal with what apply of this very entry returned', async ({ server }) => {
    await server.startServing()
    const results = await Promise.all(['one', '!two', 'three'].map((value) => server.propose(value)))
    expect(results).toEqual([1, 'rejected', 3])
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'three'])
  })

  test('matches results by identity, not by the position that append answers', async ({ log, server }) => {
    await server.startServing()
    // Two foreign entries slip in before ours, and the answer names a wrong position.
    log.appendScripts.push({ copies: 1, outcome: { kind: 'appended', pos: 0 as LogPos } })
    log.store(logged('foreign 1'))
    log.store(logged('foreign 2'))
    await expect(server.propose('ours')).resolves.toBe(3)
  })

  test('applies an entry once that the log holds three times', async ({ log, server }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 3 })
    await expect(server.propose('one')).resolves.toBe(1)
    await expect(server.propose('two')).resolves.toBe(2)
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two'])
    expect(server.stack.status().duplicatesDropped).toBe(2)
  })

  test('drops a copy that arrives after a restart', async ({ log, server }) => {
    await server.startServing()
    await server.propose('one')
    await server.stop()
    log.store(log.entries[0])
    await server.startServing()
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
    expect(server.stack.status()).toMatchObject({ incarnation: 2, duplicatesDropped: 1, cursor: 2 })
  })

  test('never proposes in an incarnation before its number is durable', async ({ server }) => {
    for (let incarnation = 1; incarnation <= 4; incarnation++) {
      await server.start()
      expect(server.stack.status().incarnation).toBe(incarnation)
      server.crash()
    }
  })

  test('rejects with the cause if the log refused, and nothing is applied', async ({ log, server }) => {
    await server.startServing()
    const cause = new DelosError('DISK_FULL', 'no space')
    log.appendScripts.push({ copies: 0, outcome: { kind: 'refused', cause } })
    expect(await reasonOf(server.propose('one'))).toBe(cause)
    await expect(server.propose('two')).resolves.toBe(1)
    expect(server.stack.status()).toMatchObject({ refusedAppends: 1, pendingProposals: 0, pendingBytes: 0 })
  })

  const lost = { kind: 'indeterminate', cause: new DelosError('TIMEOUT', 'no answer') } as const

  test('waits for the entry when the log can not tell, and resolves if it appears', async ({ log, server }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 1, outcome: lost })
    await expect(server.propose('one')).resolves.toBe(1)
    expect(server.stack.status().indeterminateAppends).toBe(1)
  })

  test('says INDETERMINATE if it does not appear in time', async ({ log, server, world }) => {
    await server.startServing()
    log.appendScripts.push({ copies: 0, outcome: lost })
    const startMs = world.clock.monotonicMs()
    expect((await reasonOf(server.propose('one'))).code).toBe('INDETERMINATE')
    const waitedMs = world.clock.monotonicMs() - startMs
    expect(waitedMs).toBeGreaterThanOrEqual(3_000)
    expect(waitedMs).toBeLessThan(6_000)
  })

  test('says INDETERMINATE if append never answers', async ({ log, server }) => {
    await server.startServing()
    log.appendGate = () => new Promise(() => undefined)
    expect((await reasonOf(server.propose('one'))).code).toBe('INDETERMINATE')
  })

  test(
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

  test(
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

  test('takes an entry as large as the log does, and no larger', async ({ log, server }) => {
    await server.startServing()
    await server.propose('x')
    log.maxEntryBytes = (log.entries[0] as Uint8Array).length + 9
    await expect(server.propose('x'.repeat(10))).resolves.toBe(2)
    const refused = await reasonOf(server.propose('x'.repeat(11)))
    expect(refused).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('maxEntryBytes') })
  })

  test('tells the times of a proposal while its completion is called', async ({ log, server, world }) => {
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

describe('Base, applying', () => {
  test('applies what is at hand in the turn in which the tail moves, in one transaction', async ({
    log,
    server,
    world,
  }) => {
    await server.startServing()
    const { nowMs } = world.queue
    for (const value of ['one', 'two', 'three']) log.store(logged(value))
    log.announce()
    await thisTurn()
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two', 'three'])
    expect(world.queue.nowMs).toBe(nowMs)
    expect(server.stack.status()).toMatchObject({ appliedEntries: 3, transactions: 1, cursor: 3 })
  })

  test('calls every postApply of a transaction before the first completion', async ({ server, log }) => {
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

  test(
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

  test('passes holes of a sparse log, also at its end', async ({ log, server }) => {
    await server.startServing()
    for (const bytes of [undefined, logged('one'), undefined, logged('two'), undefined]) log.store(bytes)
    await server.stack.sync()
    expect(server.stack.status()).toMatchObject({ cursor: 5, appliedEntries: 2 })
    await server.stop()
    await server.startServing()
    expect(server.stack.status()).toMatchObject({ cursor: 5, appliedEntries: 0 })
  })

  test('passes a voided entry as a no-op', async ({ log, server }) => {
    for (const value of ['one', '?', 'two']) log.store(logged(value))
    log.voided.add(1)
    await server.startServing()
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two'])
    expect(server.stack.status()).toMatchObject({ cursor: 3, voidedEntries: 1 })
  })

  test('replays after a crash what was not flushed, to equal content', async ({ server }) => {
    await server.startServing()
    for (const value of ['one', 'two', '!three', 'four']) await server.propose(value)
    const before = contentOf(server.stack.read())
    server.crash()
    await server.startServing()
    expect(contentOf(server.stack.read())).toEqual(before)
    expect(server.stack.status().appliedEntries).toBeGreaterThan(0)
  })

  test('reads again later when the log can not be read for the moment', async ({ log, server, world }) => {
    await server.startServing()
    let failures = 3
    log.readGate = async () => {
      if (failures-- > 0) throw new DelosError('TIMEOUT', 'not now')
    }
    await expect(server.propose('one')).resolves.toBe(1)
    expect(world.queue.nowMs).toBeGreaterThan(20)
  })

  test('refuses proposals until it has applied the tail that it saw at start', async ({ log, server }) => {
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

  test('refuses to start behind the end of a log that it has already applied', async ({ log, server }) => {
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

describe('Base, stopped by an entry', () => {
  test('says where and why, refuses what comes, and neither retries nor goes on', async ({ log, server }) => {
    await server.startServing()
    await server.propose('one')
    log.store(logged('?bug'))
    log.announce()
    expect(await server.stack.failed).toMatchObject({
      code: 'STOPPED',
      position: 1,
      message: "the ledger can't apply ?bug",
      entryHex: logged('?bug').toString('hex'),
      stack: expect.stringContaining('ledger.ts'),
    })
    expect(server.stack.status()).toMatchObject({ state: 'stopped', cursor: 1, failure: { position: 1 } })
    const { reads } = log
    const refused = await reasonOf(server.propose('two'))
    expect(refused).toMatchObject({ code: 'STOPPED', message: expect.stringContaining('position 1') })
    expect((await reasonOf(server.stack.sync())).code).toBe('STOPPED')
    expect((await reasonOf(server.stack.whenServing())).code).toBe('STOPPED')
    log.store(logged('three'))
    log.announce()
    await thisTurn()
    expect(log.reads).toBe(reads)
  })

  test('rejects what waits: INDETERMINATE in flight, STOPPED for syncs', async ({ log, server }) => {
    await server.startServing()
    const gate = new Gate()
    log.appendGate = gate.wait
    const waiting = [reasonOf(server.propose('one')), reasonOf(server.stack.sync())]
    log.store(logged('?bug'))
    log.announce()
    const [proposal, sync] = await Promise.all(waiting)
    expect(proposal?.code).toBe('INDETERMINATE')
    expect(sync?.code).toBe('STOPPED')
    await server.stop()
  })

  test('leaves nothing of the transaction, and stops again at the same entry until it is voided', async ({
    log,
    server,
  }) => {
    log.store(logged('one'))
    await server.startServing()
    for (const value of ['two', '?bug', 'three']) log.store(logged(value))
    log.announce()
    expect((await server.stack.failed).position).toBe(2)
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
    await server.stop()
    await server.start()
    expect((await server.stack.failed).position).toBe(2)
    await server.stop()
    log.voided.add(2)
    await server.startServing()
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two', 'three'])
  })

  test('stops before an entry that needs an engine it lacks, with all before it applied', async ({ log, server }) => {
    log.store(logged('one'))
    log.store(encodeEntry(withHeader(entryOf(text('two')), 'future', text('x'), true)))
    await server.start()
    expect(await server.stack.failed).toMatchObject({
      code: 'UNSUPPORTED',
      position: 1,
      message: expect.stringContaining('future'),
    })
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
  })

  test('ignores an unknown header that need not be understood, and passes no entry without payload up', async ({
    log,
    server,
  }) => {
    log.store(encodeEntry(withHeader(entryOf(text('one')), 'future', text('x'))))
    log.store(encodeEntry(controlEntry('future', text('x'))))
    await server.startServing()
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
    expect(server.ledger.seen.length).toBe(1)
    expect(server.stack.status().cursor).toBe(2)
  })

  test('stops before bytes that are no entry', async ({ log, server }) => {
    log.store(logged('one'))
    log.store(Buffer.from('d1ffff', 'hex'))
    await server.start()
    expect(await server.stack.failed).toMatchObject({ code: 'CORRUPT', position: 1, entryHex: 'd1ffff' })
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
  })

  test('stops when the log was trimmed past it, and says what to do', async ({ log, server }) => {
    for (const value of ['one', 'two', 'three']) log.store(logged(value))
    log.trimmedTo = 2
    await server.start()
    const failure = await server.stack.failed
    expect(failure).toMatchObject({ code: 'TRIMMED', position: 0, message: expect.stringContaining('bootstrap') })
    expect((await reasonOf(server.stack.whenServing())).code).toBe('TRIMMED')
  })

  test('stops when postApply throws, with the commit in place', async ({ log, server }) => {
    await server.startServing()
    server.ledger.postApply = () => {
      throw new Error('a bug')
    }
    const waiting = reasonOf(server.propose('one'))
    expect(await server.stack.failed).toMatchObject({ code: 'STOPPED', message: 'a bug', position: 0 })
    expect((await waiting).code).toBe('INDETERMINATE')
    expect(log.entries.length).toBe(1)
    expect(server.stack.status().cursor).toBe(1)
  })
})

describe('Base, syncing', () => {
  test('covers what another server completed before the call', async ({ log, server }) => {
    await server.startServing()
    log.store(logged('foreign'))
    expect(ledgerTexts(await server.stack.sync())).toEqual(['foreign'])
  })

  test('shares one tail check among all syncs of a section', async ({ log, server }) => {
    await server.startServing()
    const before = log.tailChecks
    await Promise.all(Array.from({ length: 100 }, () => server.stack.sync()))
    expect(log.tailChecks - before).toBe(1)
  })

  test('does not answer from a tail check that was under way when it was asked', async ({ log, server }) => {
    await server.startServing()
    const gate = new Gate()
    log.checkTailGate = gate.wait
    const first = server.stack.sync()
    await thisTurn()
    log.checkTailGate = undefined
    // The first check has read its tail; this completes elsewhere before the second sync is called.
    log.store(logged('between'))
    const second = server.stack.sync()
    gate.release()
    await first
    expect(ledgerTexts(await second)).toEqual(['between'])
  })

  test('does not wait for proposals that are unfinished', async ({ log, server }) => {
    await server.startServing()
    const gate = new Gate()
    log.appendGate = gate.wait
    const proposal = server.propose('one')
    expect(ledgerTexts(await server.stack.sync())).toEqual([])
    gate.release()
    await proposal
  })

  test('times out, and a tail check that hangs holds up nobody who comes later', async ({ log, server }) => {
    await server.startServing()
    log.checkTailGate = new Gate().wait
    const hanging = reasonOf(server.stack.sync())
    await thisTurn()
    log.checkTailGate = undefined
    const behind = server.stack.sync()
    expect((await hanging).code).toBe('TIMEOUT')
    await behind
  })

  test('passes on why the tail could not be read', async ({ log, server }) => {
    await server.startServing()
    const cause = new DelosError('IO_ERROR', 'gone')
    log.checkTailGate = () => Promise.reject(cause)
    expect(await reasonOf(server.stack.sync())).toBe(cause)
  })
})

describe('Base, flushing and trimming', () => {
  test(
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

  test(
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

  test(
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

  test(
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

  test('is durable when it was stopped in order', async ({ server }) => {
    await server.startServing()
    await server.propose('one')
    await server.stack.stop()
    server.crash()
    await server.startServing()
    expect(server.stack.status()).toMatchObject({ cursor: 1, appliedEntries: 0 })
  })
})

describe('Base, stopping', () => {
  test('rejects what waits and what comes', async ({ log, server }) => {
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

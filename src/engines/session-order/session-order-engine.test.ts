import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { contentOf, ledgerTexts } from '../../../test/support/ledger.ts'
import { LedgerServer } from '../../../test/support/ledger-server.ts'
import { ScriptedLog } from '../../../test/support/scripted-log.ts'
import { DelosError } from '../../base/delos-error.ts'
import { controlEntry, entryOf, withHeader } from '../../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../engine/entry-codec.ts'
import type { EngineFactory } from '../../engine/stack.ts'
import type { AppendOutcome } from '../../log/shared-log.ts'
import { type Simulation, simulate } from '../../sim/simulation.ts'
import { MemoryBackend, openMemoryStore } from '../../store/memory-store.ts'
import { subStorePrefix } from '../../store/sub-store.ts'
import { batchingEngine } from '../batching-engine.ts'
import { EPOCHS_KEPT, EpochTable } from './epoch-table.ts'
import { encodeOpen, encodeSequence, readOrderHeader } from './order-codec.ts'
import { SESSION_ORDER, type SessionOrderOptions, sessionOrderEngine } from './session-order-engine.ts'

const text = (value: string) => Buffer.from(value)
const LOST: AppendOutcome = { kind: 'indeterminate', cause: new DelosError('INDETERMINATE', 'the answer was lost') }
const FULL: AppendOutcome = { kind: 'refused', cause: new DelosError('DISK_FULL', 'the disk is full') }
const BASE = { indeterminateMs: 100, proposalDeadlineMs: 2_000 }

/** While `holding`, appends wait until the test lets them into the log, in its order. */
class HeldLog extends ScriptedLog {
  holding = false
  readonly held: (() => void)[] = []

  override append(bytes: Uint8Array): Promise<AppendOutcome> {
    if (!this.holding) return super.append(bytes)
    return new Promise((resolve) => {
      this.held.push(() => resolve(super.append(bytes)))
    })
  }

  /** Lets in those that are held, in this order (default: as they came), and holds no more. */
  release(order = this.held.map((_, i) => i)): void {
    this.holding = false
    const held = this.held.splice(0)
    for (const i of order) held[i]?.()
  }
}

interface Fixture {
  readonly world: Simulation
  readonly log: HeldLog
  readonly server: LedgerServer
  /** Proposes this text; what came of it: a place, `rejected` or a code. */
  propose(value: string): Promise<string>
  /** Outcomes in the order in which they were told. */
  readonly told: string[]
  /** Sequence numbers in the log, in its order; 0 for a proposal that has none. */
  numbers(): number[]
  details(): Record<string, string | number | boolean>
}

interface TestOptions {
  readonly order?: SessionOrderOptions
  readonly above?: readonly EngineFactory[]
  readonly enabled?: boolean
}

function test(name: string, body: (fixture: Fixture) => Promise<void>, options: TestOptions = {}): void {
  it(name, async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new HeldLog()
      const engines = [sessionOrderEngine(options.order), ...(options.above ?? [])]
      const server = new LedgerServer({ world, name: 'a', engines, openLog: async () => log, limits: BASE })
      await server.start()
      await server.stack.whenServing()
      if (options.enabled !== false) {
        await server.stack.enable()
        await server.propose('first')
      }
      const before = log.entries.length
      const told: string[] = []
      const propose = async (value: string): Promise<string> => {
        const outcome = await server.propose(value).then(String, (error: DelosError) => error.code)
        told.push(`${value} ${outcome}`)
        return outcome
      }
      const numbers = () => log.entries.slice(before).flatMap((bytes) => numberOf(bytes as Uint8Array))
      await body({ world, log, server, propose, told, numbers, details: () => detailsOf(server) })
    })
  })
}

function detailsOf(server: LedgerServer): Record<string, string | number | boolean> {
  return { ...server.stack.status().engines.find((engine) => engine.name === SESSION_ORDER)?.details }
}

function numberOf(bytes: Uint8Array): number[] {
  const entry = decodeEntry(bytes)
  const own = entry.headers.get(SESSION_ORDER)
  if (own === undefined) return entry.payload === undefined ? [] : [0]
  if ((own.bytes[0] as number) < 16) return []
  const header = readOrderHeader(own.bytes)
  return header.kind === 'sequence' ? [header.sequence] : []
}

const sequence = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const texts = (server: LedgerServer) => ledgerTexts(server.stack.read()).filter((value) => value !== 'first')
const settled = async () => {
  for (let i = 0; i < 100; i++) await null
}

/** A second server over the same log; what its store holds must be the same. */
async function expectEqualReplay({ log, world }: Fixture, server: LedgerServer): Promise<void> {
  const engines = [sessionOrderEngine(), batchingEngine()]
  const other = new LedgerServer({ world, name: 'replay', engines, openLog: async () => log })
  await other.start()
  await other.stack.sync()
  await server.stack.sync()
  expect(contentOf(other.store.read())).toEqual(contentOf(server.store.read()))
}

describe('the headers of SessionOrder', () => {
  const open = controlEntry(SESSION_ORDER, encodeOpen('a', 7, 300), true)
  const sequenced = withHeader(entryOf(text('one')), SESSION_ORDER, encodeSequence(300, 5), true)

  it('are encoded as the stored format has them, for ever', () => {
    expect(encodeEntry(open).toString('hex')).toBe(readGolden('entries/session-order-open.hex'))
    expect(encodeEntry(sequenced).toString('hex')).toBe(readGolden('entries/session-order-sequence.hex'))
  })

  it('are read as they were written', () => {
    expect(readOrderHeader(encodeOpen('a', 7, 300))).toEqual({ kind: 'open', serverId: 'a', replaces: 7, life: 300 })
    expect(readOrderHeader(encodeSequence(2 ** 40, 5))).toEqual({ kind: 'sequence', epoch: 2 ** 40, sequence: 5 })
  })

  it('are CORRUPT when damaged, FORMAT when newer', () => {
    const bytes = Buffer.from(encodeSequence(300, 5))
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readOrderHeader(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
    expect(() => readOrderHeader(Buffer.concat([bytes, text('x')]))).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
    expect(() => readOrderHeader(Buffer.from([17, 2, 1, 1]))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    expect(() => readOrderHeader(Buffer.from([99, 1, 1, 1]))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
  })
})

describe('SessionOrder over a log that does as it should', () => {
  test('sends every proposal once, at once, with one header and a number', async ({
    world,
    propose,
    numbers,
    details,
  }) => {
    const { nowMs } = world.queue
    const outcomes = await Promise.all(sequence(1, 64).map((i) => propose(`${i}`)))
    expect(outcomes).toEqual(sequence(2, 65).map(String))
    expect(numbers()).toEqual(sequence(2, 65))
    expect(world.queue.nowMs).toBe(nowMs)
    expect(details()).toMatchObject({
      state: 'open',
      outstanding: 0,
      outstandingBytes: 0,
      reproposed: 0,
      epochsOpened: 1,
    })
  })

  test('sends what is proposed while others are in flight without waiting for them', async ({ log, propose }) => {
    log.holding = true
    void propose('1')
    await settled()
    void propose('2')
    expect(log.held.length).toBe(2)
    log.release()
  })

  test('hands rejections of the database up like other results', async ({ propose }) => {
    expect(await Promise.all(['x', '!y', 'z'].map(propose))).toEqual(['2', 'rejected', '4'])
  })

  test(
    'takes outstandingCountMax proposals',
    async ({ log, propose }) => {
      log.holding = true
      const done = [propose('1'), propose('2'), propose('3')]
      expect(await done[2]).toBe('OVERLOADED')
      log.release()
      expect(await Promise.all(done)).toEqual(['2', '3', 'OVERLOADED'])
      expect(await propose('4')).toBe('4')
    },
    { order: { outstandingCountMax: 2 } },
  )

  test(
    'takes outstandingBytesMax bytes',
    async ({ log, propose }) => {
      log.holding = true
      const done = [propose('1'.repeat(60)), propose('2'.repeat(60))]
      expect(await done[1]).toBe('OVERLOADED')
      log.release()
      expect(await done[0]).toBe('2')
    },
    { order: { outstandingBytesMax: 100 } },
  )

  test('does not let sync wait for unfinished proposals', async ({ log, server, propose }) => {
    log.holding = true
    const waiting = propose('1')
    await server.stack.sync()
    log.release()
    expect(await waiting).toBe('2')
  })

  test('tells whoever waits at the end what is known', async ({ log, server, propose }) => {
    log.holding = true
    const sent = propose('1')
    await server.stack.stop()
    expect(await sent).toBe('INDETERMINATE')
    expect(await propose('2')).toBe('CLOSED')
  })
})

describe('SessionOrder over a log that misbehaves', () => {
  for (const order of [
    [1, 0],
    [3, 2, 1, 0],
    [1, 2, 3, 0],
    [2, 0, 3, 1],
  ]) {
    test(`applies in order what the log has in the order ${order}`, async (fixture) => {
      const { log, server, propose, told, details } = fixture
      log.holding = true
      const done = order.map((_, i) => propose(`${i}`))
      log.release(order)
      const outcomes = await Promise.all(done)
      expect(outcomes).toEqual(order.map((_, i) => `${i + 2}`))
      expect(texts(server)).toEqual(order.map((_, i) => `${i}`))
      expect(told).toEqual(order.map((_, i) => `${i} ${i + 2}`))
      expect(server.ledger.seen.map((seen) => seen.text)).toEqual(['first', ...order.map((_, i) => `${i}`)])
      expect(details()).toMatchObject({ outstanding: 0 })
      expect(details().filteredEarly).toBeGreaterThan(0)
      await expectEqualReplay(fixture, server)
    })
  }

  test('proposes again what came too early only when it can be applied', async ({ log, propose, numbers }) => {
    log.holding = true
    const done = sequence(1, 5).map((i) => propose(`${i}`))
    log.release([1, 2, 3, 4, 0])
    await Promise.all(done)
    expect(numbers()).toEqual([3, 4, 5, 6, 2, 3, 4, 5, 6])
  })

  test('proposes an overtaken one again if it stays away, and drops it if it comes after all', async (fixture) => {
    const { world, log, server, propose, numbers, details } = fixture
    log.holding = true
    const done = sequence(1, 3).map((i) => propose(`${i}`))
    const [late] = log.held
    log.release([1, 2])
    expect(await Promise.all(done)).toEqual(['2', '3', '4'])
    expect(numbers()).toEqual([3, 4, 2, 3, 4])
    late?.()
    await world.sleep(10)
    expect(numbers()).toEqual([3, 4, 2, 3, 4, 2])
    expect(texts(server)).toEqual(['1', '2', '3'])
    expect(details()).toMatchObject({ filteredDuplicate: 1, filteredEarly: 2, reproposed: 3 })
    await expectEqualReplay(fixture, server)
  })

  test('proposes again what the log lost, and the layer above sees nothing of it', async ({ log, server, propose }) => {
    log.appendScripts.push({ copies: 0, outcome: LOST })
    expect(await Promise.all(['1', '2', '3'].map(propose))).toEqual(['2', '3', '4'])
    expect(texts(server)).toEqual(['1', '2', '3'])
  })

  test('proposes again the last one when its append is known to be lost', async ({ log, propose, numbers }) => {
    log.appendScripts.push({ copies: 0, outcome: LOST })
    expect(await propose('1')).toBe('2')
    expect(numbers()).toEqual([2])
  })

  test('takes the result of the copy that was accepted, although nobody waits for that copy any more', async ({
    world,
    log,
    propose,
    numbers,
    told,
    details,
  }) => {
    log.holding = true
    const done = [propose('1'), propose('2')]
    const early = log.held.slice()
    // Base gives both up after its deadline; they are proposed again, and held again.
    await world.sleep(3_000)
    expect(log.held.length).toBe(4)
    for (const store of early) store()
    expect(await Promise.all(done)).toEqual(['2', '3'])
    log.release([2, 3])
    await world.sleep(10)
    expect(numbers()).toEqual([2, 3, 2, 3])
    expect(told).toEqual(['1 2', '2 3'])
    expect(details()).toMatchObject({ filteredDuplicate: 2, outstanding: 0 })
  })

  test('applies once what a change of loglets repeats', async ({ log, server, propose }) => {
    log.appendScripts.push({ copies: 2 }, { copies: 3 })
    expect(await Promise.all(['1', '2', '3'].map(propose))).toEqual(['2', '3', '4'])
    expect(texts(server)).toEqual(['1', '2', '3'])
  })

  test('gives the number of a refused proposal back if none was given out since', async ({ log, propose, numbers }) => {
    log.appendScripts.push({ copies: 0, outcome: FULL })
    expect(await propose('1')).toBe('DISK_FULL')
    expect(await propose('2')).toBe('2')
    expect(numbers()).toEqual([2])
  })

  test('gives back the numbers of all that were refused one after the other', async ({
    log,
    propose,
    told,
    numbers,
  }) => {
    for (let i = 0; i < 5; i++) log.appendScripts.push({ copies: 0, outcome: FULL })
    await Promise.all(sequence(1, 5).map((i) => propose(`${i}`)))
    expect(told).toEqual(sequence(1, 5).map((i) => `${i} DISK_FULL`))
    expect(await propose('6')).toBe('2')
    expect(numbers()).toEqual([2])
  })

  test('gives back a number that is refused at once', async ({ server, propose, numbers }) => {
    expect(await propose('x'.repeat(2 << 20))).toBe('LIMIT_EXCEEDED')
    expect(await propose('2')).toBe('2')
    expect(numbers()).toEqual([2])
    expect(texts(server)).toEqual(['2'])
  })

  test('tries again what was refused and left a gap', async ({ log, server, propose, numbers }) => {
    log.appendScripts.push({ copies: 0, outcome: FULL }, { copies: 1 })
    expect(await Promise.all(['1', '2', '3'].map(propose))).toEqual(['2', '3', '4'])
    expect(numbers()).toEqual([3, 4, 2, 3, 4])
    expect(texts(server)).toEqual(['1', '2', '3'])
  })

  test('opens a new epoch when a gap can not be filled, and says of the unapplied that they never will be', async (fixture) => {
    const { log, server, propose, told, details } = fixture
    const limit: AppendOutcome = { kind: 'refused', cause: new DelosError('LIMIT_EXCEEDED', 'too large') }
    log.appendScripts.push({ copies: 1 }, { copies: 0, outcome: limit })
    expect(await Promise.all(['1', '2', '3'].map(propose))).toEqual(['2', 'LIMIT_EXCEEDED', 'LIMIT_EXCEEDED'])
    expect(told).toEqual(['1 2', '2 LIMIT_EXCEEDED', '3 LIMIT_EXCEEDED'])
    expect(await propose('4')).toBe('3')
    expect(texts(server)).toEqual(['1', '4'])
    expect(details()).toMatchObject({ epochsOpened: 2, state: 'open' })
    await expectEqualReplay(fixture, server)
  })

  test(
    'opens a new epoch at the deadline, and says of the unapplied that they never will be',
    async ({ world, log, server, propose, told, details }) => {
      log.holding = true
      const done = [propose('1'), propose('2')]
      const copies = log.held.slice()
      await world.sleep(6_100)
      log.holding = false
      log.held.at(-1)?.()
      expect(await Promise.all(done)).toEqual(['TIMEOUT', 'TIMEOUT'])
      expect(told).toEqual(['1 TIMEOUT', '2 TIMEOUT'])
      // They come after all.
      for (const store of copies) store()
      expect(await propose('3')).toBe('2')
      expect(texts(server)).toEqual(['3'])
      expect(details()).toMatchObject({ filteredClosed: 2, epochsOpened: 2 })
    },
    { order: { proposalDeadlineMs: 4_000 } },
  )

  test(
    'says INDETERMINATE when not even a new epoch can be opened, and TIMEOUT of what was never sent',
    async ({ world, log, propose, told }) => {
      log.holding = true
      const sent = propose('sent')
      await world.sleep(6_000)
      const waiting = propose('waiting')
      await world.sleep(20_000)
      expect(await sent).toBe('INDETERMINATE')
      expect(await waiting).toBe('TIMEOUT')
      expect(told).toEqual(['sent INDETERMINATE', 'waiting TIMEOUT'])
      log.release([])
      expect(await propose('later')).toBe('2')
    },
    { order: { proposalDeadlineMs: 4_000 } },
  )

  test('tells those who wait for an epoch why it was refused', async ({ log, server, propose }) => {
    await server.stack.change(SESSION_ORDER, { kind: 'flag', enabled: false })
    log.appendScripts.push({ copies: 1 }, { copies: 0, outcome: FULL })
    void server.stack.change(SESSION_ORDER, { kind: 'flag', enabled: true })
    await settled()
    log.appendScripts.push({ copies: 0, outcome: FULL })
    expect(await propose('1')).toBe('DISK_FULL')
    expect(await propose('2')).toBe('2')
  })

  test('stops with the database below it', async ({ log, server, propose }) => {
    log.holding = true
    const sent = propose('1')
    log.holding = false
    log.store(encodeEntry(entryOf(text('?bug'))))
    log.announce()
    await server.stack.failed
    expect(await sent).toBe('INDETERMINATE')
    expect(await propose('2')).toBe('STOPPED')
  })
})

describe('epochs', () => {
  const start = (world: Simulation, log: ScriptedLog, name: string, serverId = name): LedgerServer =>
    new LedgerServer({ world, name, engines: [sessionOrderEngine()], openLog: async () => log, limits: BASE, serverId })

  it('a new life opens a new epoch, and nothing of the former life is applied behind it', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new HeldLog()
      const server = start(world, log, 'a')
      await server.startServing()
      await server.propose('0')
      log.holding = true
      for (const value of ['1', '2', '3']) server.propose(value).catch(() => undefined)
      const [first, second, third] = log.held
      second?.()
      first?.()
      await world.sleep(5)
      server.crash()
      log.holding = false
      await server.start()
      await server.stack.whenServing()
      await server.propose('new')
      third?.()
      await server.stack.sync()
      expect(ledgerTexts(server.stack.read())).toEqual(['0', '1', 'new'])
      expect(detailsOf(server)).toMatchObject({ filteredClosed: 1 })
    })
  })

  it('proposals that are made before the epoch is open wait for it', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new HeldLog()
      const server = start(world, log, 'a')
      await server.startServing()
      await server.stop()
      log.holding = true
      await server.start()
      await server.stack.whenServing()
      const done = ['1', '2'].map((value) => server.propose(value))
      await world.sleep(50)
      expect(log.held.length).toBe(1)
      expect(detailsOf(server)).toMatchObject({ state: 'opening', outstanding: 2 })
      log.release()
      expect(await Promise.all(done)).toEqual([1, 2])
    })
  })

  it('an `open` that was lost is proposed again, and works once', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new HeldLog()
      const server = start(world, log, 'a')
      await server.startServing()
      await server.stop()
      log.holding = true
      await server.start()
      await server.stack.whenServing()
      const done = server.propose('1')
      await world.sleep(2_700)
      expect(log.held.length).toBe(2)
      log.release()
      expect(await done).toBe(1)
      await server.propose('2')
      expect(detailsOf(server)).toMatchObject({ epochsOpened: 1, state: 'open' })
    })
  })

  it('an `open` of a former life that comes late stops nobody, whether it comes before or after the new one', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      await simulate({ seed: 1 }, async (world) => {
        const log = new HeldLog()
        const server = start(world, log, 'a')
        await server.startServing()
        await server.stop()
        log.holding = true
        for (let life = 0; life < 2; life++) {
          await server.start()
          await server.stack.whenServing()
          await world.sleep(1)
          if (life === 0) server.crash()
        }
        expect(log.held.length).toBe(2)
        log.release(order)
        expect(await server.propose('1')).toBe(1)
        expect(server.stack.status().state).toBe('serving')
        expect(detailsOf(server)).toMatchObject({ epochsOpened: 1, state: 'open' })
      })
    }
  })

  it('a process whose epoch another process closed stops, and knows what was not applied', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new HeldLog()
      const first = start(world, log, 'a')
      await first.startServing()
      await first.propose('0')
      log.holding = true
      const unapplied = first.propose('1').catch((error: DelosError) => error)
      log.holding = false
      const twin = start(world, log, 'b', 'a')
      await twin.start()
      await twin.stack.whenServing()
      await twin.propose('of the twin')
      expect(await unapplied).toMatchObject({ code: 'CONFLICT' })
      expect((await first.stack.failed).message).toContain('another process that calls itself server a')
      log.release()
      await twin.stack.sync()
      expect(ledgerTexts(twin.stack.read())).toEqual(['0', 'of the twin'])
      await expect(first.propose('2')).rejects.toMatchObject({ code: 'STOPPED' })
    })
  })

  it('past EPOCHS_KEPT servers the one not heard of for longest loses its epoch, and goes on in another', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new HeldLog()
      const server = start(world, log, 'a')
      await server.startServing()
      await server.propose('0')
      for (let i = 0; i < EPOCHS_KEPT; i++) {
        log.store(encodeEntry(controlEntry(SESSION_ORDER, encodeOpen(`other-${i}`, 0, i), true)))
      }
      log.announce()
      expect(await Promise.all(['1', '2', '3'].map((value) => server.propose(value)))).toEqual([2, 3, 4])
      expect(detailsOf(server)).toMatchObject({ filteredClosed: 3, epochsOpened: 2 })
      expect(new EpochTable(subStorePrefix(SESSION_ORDER)).all(server.store.read()).length).toBe(EPOCHS_KEPT)
    })
  })

  it('the table opens an epoch only in place of the one it names', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const runtime = world.server('a').boot()
      const store = openMemoryStore({ runtime, backend: new MemoryBackend(world) })
      const table = new EpochTable('x\x00')
      const tx = store.begin()
      expect(table.open(tx, 5 as never, 'a', 1)).toBe(false)
      expect(table.open(tx, 5 as never, 'a', 0)).toBe(true)
      expect(table.accept(tx, 5, 1, 6 as never)).toBeUndefined()
      expect(table.accept(tx, 5, 1, 7 as never)?.kind).toBe('duplicate')
      expect(table.accept(tx, 5, 3, 8 as never)?.kind).toBe('early')
      expect(table.open(tx, 9 as never, 'a', 0)).toBe(false)
      expect(table.open(tx, 9 as never, 'a', 5)).toBe(true)
      expect(table.accept(tx, 5, 2, 10 as never)?.kind).toBe('closed')
      expect(table.all(tx)).toEqual([{ epoch: 9, serverId: 'a', last: 0, heardPos: 9 }])
      tx.abort()
      await store.close()
    })
  })
})

describe('the switch of SessionOrder', () => {
  test(
    'on: what is proposed afterwards waits until what has no number is back, and then goes in order',
    async (fixture) => {
      const { log, server, propose, numbers, told } = fixture
      log.holding = true
      const done = ['1', '2'].map(propose)
      log.holding = false
      await server.stack.enable()
      done.push(...['3', '4'].map(propose))
      await settled()
      expect(numbers()).toEqual([])
      log.release()
      expect(await Promise.all(done)).toEqual(['1', '2', '3', '4'])
      expect(numbers()).toEqual([0, 0, 1, 2])
      expect(told).toEqual(['1 1', '2 2', '3 3', '4 4'])
      await expectEqualReplay(fixture, server)
    },
    { enabled: false },
  )

  test('off: what was under way is applied once, in order, without a number', async (fixture) => {
    const { world, log, server, propose, told, details } = fixture
    log.holding = true
    const done = ['1', '2', '3'].map(propose)
    log.holding = false
    await server.stack.change(SESSION_ORDER, { kind: 'flag', enabled: false })
    done.push(propose('4'))
    log.release([2, 0, 1])
    expect(await Promise.all(done)).toEqual(['2', '3', '4', '5'])
    await world.sleep(100)
    expect(texts(server)).toEqual(['1', '2', '3', '4'])
    expect(told).toEqual(['1 2', '2 3', '3 4', '4 5'])
    expect(details()).toMatchObject({ state: 'passing', filteredClosed: 3 })
    await expectEqualReplay(fixture, server)
  })

  test('off and on in one transaction: nothing of the former epoch is applied any more', async (fixture) => {
    const { world, log, server, propose, details } = fixture
    log.holding = true
    const done = ['1', '2'].map(propose)
    log.holding = false
    await Promise.all([false, true].map((enabled) => server.stack.change(SESSION_ORDER, { kind: 'flag', enabled })))
    log.release()
    expect(await Promise.all(done)).toEqual(['2', '3'])
    await world.sleep(100)
    expect(texts(server)).toEqual(['1', '2'])
    expect(details()).toMatchObject({ state: 'open', filteredClosed: 2, epochsOpened: 2 })
    await expectEqualReplay(fixture, server)
  })

  test('on again while on: closes nothing', async ({ server, propose, details }) => {
    await server.stack.change(SESSION_ORDER, { kind: 'flag', enabled: true })
    await server.stack.change(SESSION_ORDER, { kind: 'level', level: 0 })
    expect(await propose('1')).toBe('2')
    expect(details()).toMatchObject({ epochsOpened: 1 })
  })

  it('stands above ViewTracking and below Batching, or the stack is refused', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const wrong = [batchingEngine(), sessionOrderEngine()]
      const server = new LedgerServer({ world, name: 'a', engines: wrong, openLog: async () => new ScriptedLog() })
      await expect(server.start()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    })
  })
})

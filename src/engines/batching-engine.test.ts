import { describe, expect, it } from 'vitest'
import { readGolden } from '../../test/support/golden.ts'
import { ledgerTexts } from '../../test/support/ledger.ts'
import { LedgerServer } from '../../test/support/ledger-server.ts'
import { Gate, ScriptedLog } from '../../test/support/scripted-log.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import { controlEntry, type Entry, entryOf, NO_HEADERS, withHeader } from '../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../engine/entry-codec.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import { batchMarker, readBatch, writePart } from './batch-codec.ts'
import { BATCHING, type BatchingLimits, batchingEngine } from './batching-engine.ts'

const text = (value: string) => Buffer.from(value)

function batchOf(...parts: readonly Entry[]): Entry {
  const writer = new ByteWriter()
  for (const part of parts) writePart(writer, part)
  const whole: Entry = { headers: NO_HEADERS, payload: writer.toBytes(), index: 0 }
  return withHeader(whole, BATCHING, batchMarker(parts.length), true)
}

interface Fixture {
  readonly world: Simulation
  readonly log: ScriptedLog
  readonly server: LedgerServer
  /** Entries in the log that hold proposals: how many proposals each carries. */
  batches(): number[]
}

function test(name: string, body: (fixture: Fixture) => Promise<void>, limits: Partial<BatchingLimits> = {}): void {
  it(name, async () => {
    await simulate({ seed: 1 }, async (world) => {
      const log = new ScriptedLog()
      const server = new LedgerServer({ world, name: 'a', engines: [batchingEngine(limits)], openLog: async () => log })
      await server.startServing()
      const enableEntries = log.entries.length
      const batches = () => log.entries.slice(enableEntries).map((bytes) => partsOf(bytes as Uint8Array))
      await body({ world, log, server, batches })
    })
  })
}

function partsOf(bytes: Uint8Array): number {
  const entry = decodeEntry(bytes)
  if (entry.payload === undefined) return 0
  const marker = entry.headers.get(BATCHING)
  return marker === undefined ? 1 : readBatch(marker.bytes, entry.payload).length
}

async function reasonOf(promise: Promise<unknown>): Promise<DelosError> {
  const reason = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(reason).toBeInstanceOf(DelosError)
  return reason as DelosError
}

describe('the batch codec', () => {
  const batch = withHeader(
    batchOf(
      entryOf(text('one')),
      entryOf(text('')),
      controlEntry('time', text('vote')),
      withHeader(entryOf(text('two')), 'time', text('t'), true),
    ),
    'other',
    text(''),
  )

  it('encodes a batch as the stored format has it, for ever', () => {
    const headers = new Map([...batch.headers].filter(([name]) => name === BATCHING))
    expect(encodeEntry({ ...batch, headers }).toString('hex')).toBe(readGolden('entries/batch.hex'))
  })

  it('gives back every part with headers, payload and place', () => {
    const parts = readBatch(batch.headers.get(BATCHING)?.bytes as Uint8Array, batch.payload as Uint8Array)
    expect(parts.map((part) => part.index)).toEqual([0, 1, 2, 3])
    expect(parts.map((part) => (part.payload === undefined ? undefined : String(part.payload)))).toEqual([
      'one',
      '',
      undefined,
      'two',
    ])
    expect(parts[3]?.headers.get('time')).toEqual({ bytes: text('t'), mustUnderstand: true })
  })

  it('calls every damage CORRUPT', () => {
    const marker = batch.headers.get(BATCHING)?.bytes as Uint8Array
    const payload = batch.payload as Uint8Array
    for (let length = 0; length < payload.length; length++) {
      expect(() => readBatch(marker, payload.subarray(0, length))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
    const longer = Buffer.concat([payload, text('x')])
    expect(() => readBatch(marker, longer)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect(() => readBatch(batchMarker(2 ** 40), payload)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

describe('Batching', () => {
  test('puts the proposals of one synchronous section in one entry and one transaction', async ({
    server,
    batches,
  }) => {
    const before = server.stack.status().transactions
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => server.propose(`${i}`)))
    expect(results).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(batches()).toEqual([100])
    expect(server.stack.status().transactions - before).toBe(1)
  })

  test('sends a proposal that finds no batch in flight at once, without a timer', async ({
    world,
    log,
    server,
    batches,
  }) => {
    const { nowMs } = world.queue
    const proposal = server.propose('one')
    for (let i = 0; i < 50; i++) await null
    expect(batches()).toEqual([1])
    await expect(proposal).resolves.toBe(1)
    expect(world.queue.nowMs).toBe(nowMs)
    // One alone is not wrapped.
    expect(decodeEntry(log.entries.at(-1) as Uint8Array).headers.has(BATCHING)).toBe(false)
  })

  test('gathers what arrives while one is in flight', async ({ log, server, batches }) => {
    const gate = new Gate()
    log.appendGate = gate.wait
    const done = [server.propose('0')]
    for (let i = 1; i <= 30; i++) {
      await null
      done.push(server.propose(`${i}`))
    }
    log.appendGate = undefined
    gate.release()
    await Promise.all(done)
    expect(batches()).toEqual([1, 30])
    expect(ledgerTexts(server.stack.read())).toEqual(Array.from({ length: 31 }, (_, i) => `${i}`))
  })

  test(
    'cuts at batchCountMax',
    async ({ server, batches }) => {
      await Promise.all(Array.from({ length: 25 }, (_, i) => server.propose(`${i}`)))
      expect(batches()).toEqual([10, 10, 5])
      expect(ledgerTexts(server.stack.read())).toEqual(Array.from({ length: 25 }, (_, i) => `${i}`))
    },
    { batchCountMax: 10 },
  )

  test(
    'cuts at batchBytesMax, and sends what is larger alone',
    async ({ log, server, batches }) => {
      const sizes = [30, 30, 30, 500, 30, 30]
      await Promise.all(sizes.map((size, i) => server.propose(`${i}`.padEnd(size))))
      expect(batches()).toEqual([2, 1, 1, 2])
      for (const bytes of log.entries) expect((bytes as Uint8Array).length).toBeLessThan(600)
    },
    { batchBytesMax: 100 },
  )

  test(
    'keeps as many in flight as it may',
    async ({ log, server, batches }) => {
      const gate = new Gate()
      log.appendGate = gate.wait
      const done: Promise<unknown>[] = []
      for (let i = 0; i < 10; i++) {
        done.push(server.propose(`${i}`))
        for (let turn = 0; turn < 5; turn++) await null
      }
      log.appendGate = undefined
      gate.release()
      await Promise.all(done)
      expect(batches()).toEqual([1, 1, 1, 7])
    },
    { inFlightMax: 3 },
  )

  test(
    'takes exactly waitingCountMax proposals that wait',
    async ({ log, server }) => {
      const gate = new Gate()
      log.appendGate = gate.wait
      const done = [server.propose('flying')]
      await null
      for (let i = 0; i < 5; i++) done.push(server.propose(`${i}`))
      const refused = await reasonOf(server.propose('one more'))
      expect(refused).toMatchObject({ code: 'OVERLOADED', message: expect.stringContaining('waitingCountMax: 5') })
      gate.release()
      await expect(Promise.all(done)).resolves.toEqual([1, 2, 3, 4, 5, 6])
    },
    { waitingCountMax: 5 },
  )

  test(
    'takes waitingBytesMax bytes that wait',
    async ({ log, server }) => {
      const gate = new Gate()
      log.appendGate = gate.wait
      const done = [server.propose('flying')]
      await null
      done.push(server.propose('x'.repeat(400)), server.propose('y'.repeat(400)))
      const refused = await reasonOf(server.propose('z'.repeat(400)))
      expect(refused).toMatchObject({ code: 'OVERLOADED', message: expect.stringContaining('waitingBytesMax') })
      gate.release()
      await Promise.all(done)
    },
    { waitingBytesMax: 1_000 },
  )

  test('gives every part its own result, rejection and postApply', async ({ server }) => {
    const results = await Promise.all(['one', '!two', 'three'].map((value) => server.propose(value)))
    expect(results).toEqual([1, 'rejected', 3])
    expect(ledgerTexts(server.stack.read())).toEqual(['one', 'three'])
    const { pos } = server.ledger.seen[0] as { pos: number }
    expect(server.ledger.seen).toEqual([
      { text: 'one', pos, index: 0, result: 1 },
      { text: '!two', pos, index: 1, result: 'rejected' },
      { text: 'three', pos, index: 2, result: 3 },
    ])
  })

  test('tells every proposer of a batch that was refused', async ({ log, server }) => {
    log.appendScripts.push({ copies: 0, outcome: { kind: 'refused', cause: new DelosError('DISK_FULL', 'full') } })
    const reasons = await Promise.all(['1', '2', '3'].map((value) => reasonOf(server.propose(value))))
    expect(reasons.map((reason) => reason.code)).toEqual(['DISK_FULL', 'DISK_FULL', 'DISK_FULL'])
    await expect(server.propose('4')).resolves.toBe(1)
  })

  test('stops the database if one part can not be applied, and applies none', async ({ server }) => {
    const reasons = await Promise.all(['one', '?two'].map((value) => reasonOf(server.propose(value))))
    expect(reasons.map((reason) => reason.code)).toEqual(['INDETERMINATE', 'INDETERMINATE'])
    expect((await server.stack.failed).message).toContain('part 1 of 2')
    expect(ledgerTexts(server.stack.read())).toEqual([])
  })

  test('stops before a batch of which one part needs an engine that is missing', async ({ log, server }) => {
    log.store(encodeEntry(batchOf(entryOf(text('one')), withHeader(entryOf(text('two')), 'future', text('x'), true))))
    log.announce()
    expect(await server.stack.failed).toMatchObject({ code: 'UNSUPPORTED', position: 1 })
    expect(ledgerTexts(server.stack.read())).toEqual([])
  })

  test('passes every proposal alone while disabled, and unpacks batches all the same', async ({
    log,
    server,
    batches,
  }) => {
    await server.stack.change(BATCHING, { kind: 'flag', enabled: false })
    log.store(encodeEntry(batchOf(entryOf(text('x')), entryOf(text('y')))))
    await Promise.all(['1', '2', '3'].map((value) => server.propose(value)))
    expect(batches()).toEqual([0, 2, 1, 1, 1])
    expect(ledgerTexts(server.stack.read())).toEqual(['x', 'y', '1', '2', '3'])
  })

  test('lets nothing gather any more once it is disabled, and what gathered before goes first', async ({
    log,
    server,
    batches,
  }) => {
    const gate = new Gate()
    log.appendGate = gate.wait
    const done = [server.propose('flying')]
    await null
    done.push(server.propose('1'), server.propose('2'))
    log.appendGate = undefined
    await server.stack.change(BATCHING, { kind: 'flag', enabled: false })
    for (const value of ['3', '4']) done.push(server.propose(value))
    await Promise.all(done.slice(1))
    expect(batches()).toEqual([0, 2, 1, 1])
    gate.release()
    await Promise.all(done)
    expect(ledgerTexts(server.stack.read())).toEqual(['1', '2', '3', '4', 'flying'])
  })

  test(
    'tells whoever waited longest first when all are refused, however many they are',
    async ({ log, server }) => {
      log.appendGate = new Gate().wait
      const flying = reasonOf(server.propose('flying'))
      await null
      const told: number[] = []
      for (let i = 0; i < 20_000; i++) {
        server.stack.submit(entryOf(text(`${i}`)), {
          resolve: () => told.push(-1),
          reject: () => told.push(i),
        })
      }
      log.store(encodeEntry(entryOf(text('?bug'))))
      log.announce()
      expect((await flying).code).toBe('INDETERMINATE')
      expect(told).toEqual(Array.from({ length: 20_000 }, (_, i) => i))
    },
    { batchCountMax: 1 },
  )

  test('rejects what has not left when it stops', async ({ log, server }) => {
    log.appendGate = new Gate().wait
    const flying = reasonOf(server.propose('flying'))
    await null
    const waiting = ['1', '2'].map((value) => reasonOf(server.propose(value)))
    await server.stack.stop()
    expect((await flying).code).toBe('INDETERMINATE')
    for (const reason of await Promise.all(waiting)) expect(reason.code).toBe('CLOSED')
    expect((await reasonOf(server.propose('later'))).code).toBe('CLOSED')
  })
})

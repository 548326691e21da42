import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { FileLogletProvider } from '../loglets/file/file-loglet-provider.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { FileMetaStore } from '../metastores/file/file-metastore.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { Counters } from '../sim/counters.ts'
import type { SimRuntime } from '../sim/sim-server.ts'
import { type Simulation, simulate } from '../sim/simulation.ts'
import type { ChainSegment } from './chain/chain.ts'
import { decodeChain } from './chain/chain-codec.ts'
import { CHUNK_SPAN_MAX, encodeChunk } from './chunk-codec.ts'
import type { VirtualLogOptions } from './log-options.ts'
import type { Loglet, LogletConfig, LogletProvider } from './loglet.ts'
import type { MetaStore } from './metastore.ts'
import { LOG_START, type LogPos } from './position.ts'
import type { LogEntry, LogRead, SharedLog } from './shared-log.ts'
import { VirtualLog } from './virtual-log.ts'

const MEMORY = { kind: 'memory', params: {} }
const FILE = { kind: 'file', params: {} }
const END = Number.MAX_SAFE_INTEGER as LogPos
const pos = (value: number) => value as LogPos
const bytes = (text: string) => Buffer.from(text)

/** One world of memory loglets and the servers in it. */
class MemoryWorld {
  readonly register = new MemoryRegister()
  readonly memory: MemoryLogletProvider
  readonly counters = new Counters()
  private readonly world: Simulation

  constructor(world: Simulation, maxEntryBytes = 1000) {
    this.world = world
    this.memory = new MemoryLogletProvider({ maxEntryBytes, wallMs: () => world.clock.wallMs() })
  }

  open(options: Partial<VirtualLogOptions> = {}): Promise<VirtualLog> {
    const { clock, timers, random } = this.world
    return VirtualLog.open({
      metastore: new MemoryMetaStore(this.register),
      providers: [this.memory],
      clock,
      timers,
      random,
      initial: MEMORY,
      retention: { hours: 0, bytes: 0 },
      onEvent: this.counters.bump,
      ...options,
    })
  }

  /** The open loglet, behind the back of the log. */
  active(log: VirtualLog): Promise<Loglet> {
    return this.memory.open(log.chain.segments.at(-1)?.config as LogletConfig)
  }
}

function withMemory(body: (memory: MemoryWorld, world: Simulation) => Promise<void>, maxEntryBytes?: number) {
  return simulate({ seed: 1 }, (world) => body(new MemoryWorld(world, maxEntryBytes), world))
}

async function appendAll(log: SharedLog, count: number, prefix = 'entry'): Promise<void> {
  for (let i = 0; i < count; i++) expect((await log.append(bytes(`${prefix} ${i}`))).kind).toBe('appended')
}

async function readAll(log: SharedLog, from = LOG_START): Promise<LogEntry[]> {
  const entries: LogEntry[] = []
  let at = from
  for (;;) {
    const read = await log.readNext(at, END, 500)
    if (read.next === at) return entries
    entries.push(...read.entries)
    at = read.next
  }
}

const texts = async (log: SharedLog, from = LOG_START) =>
  (await readAll(log, from)).map((entry) => Buffer.from(entry.bytes).toString())

describe('the virtual log', () => {
  it('is made by `initial` once, and is not found without', () =>
    withMemory(async (memory) => {
      await expect(
        VirtualLog.open({ ...(await optionsOf(memory)), metastore: new MemoryMetaStore(new MemoryRegister()) }),
      ).rejects.toMatchObject({ code: 'NOT_FOUND' })
      const logs = await Promise.all([memory.open(), memory.open(), memory.open()])
      const nonces = new Set(logs.map((log) => log.chain.segments[0]?.config.nonce))
      expect(nonces.size).toBe(1)
      expect(await memory.memory.list()).toHaveLength(1)
      for (const log of logs) await log.close()
    }))

  it('is not made anew where a loglet holds entries: its register was lost, and nothing is swept', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 3)
      await log.close()
      const before = await memory.memory.list()
      const lost = { metastore: new MemoryMetaStore(new MemoryRegister()) }
      await expect(memory.open(lost)).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining(`the memory loglet ${before[0]?.nonce} holds entries`),
      })
      expect(await memory.memory.list()).toEqual(before)
      const again = await memory.open()
      expect(await texts(again)).toEqual(['entry 0', 'entry 1', 'entry 2'])
      await again.close()
    }))

  it('is made where loglets are left over from a creation that was cut off', () =>
    withMemory(async (memory) => {
      const leftover = { ...MEMORY, nonce: 'leftover' }
      await (await memory.memory.create(leftover)).close()
      const log = await memory.open()
      await log.sweepOrphans()
      expect(await memory.memory.list()).toHaveLength(1)
      await log.close()
    }))

  it('serves one order of entries to all servers, across extends by any of them', () =>
    withMemory(async (memory) => {
      const [a, b] = [await memory.open(), await memory.open()]
      await appendAll(a, 10, 'a')
      expect((await b.extend(MEMORY)).kind).toBe('extended')
      await appendAll(a, 10, 'again')
      await appendAll(b, 10, 'b')
      expect(await a.checkTail()).toBe(30)
      expect(await texts(a)).toEqual(await texts(b))
      expect(a.chain.segments.map(({ start, end }) => [start, end])).toEqual([
        [0, 10],
        [10, undefined],
      ])
      await a.close()
      await b.close()
    }))

  it('tells listeners on every server of each tail, also of one that only follows', () =>
    withMemory(async (memory, world) => {
      const [a, b] = [await memory.open(), await memory.open()]
      const told: number[] = []
      const end = b.onTailMoved((tail) => told.push(tail))
      await appendAll(a, 3)
      expect(told).toEqual([1, 2, 3])
      await a.extend(MEMORY)
      await world.sleep(1000)
      await appendAll(a, 2)
      expect(told).toEqual([1, 2, 3, 4, 5])
      expect(b.knownTail).toBe(5)
      end()
      await appendAll(a, 1)
      expect(told).toHaveLength(5)
      await a.close()
      await b.close()
    }))

  it('replaces a segment that would be empty, and leaves nothing of it', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      for (let i = 0; i < 3; i++) await log.extend(MEMORY)
      expect(log.chain.segments).toHaveLength(1)
      expect(log.chain.version).toBe(4)
      expect(await memory.memory.list()).toHaveLength(1)
      await log.close()
    }))

  it('never reports a sealed tail, but rolls the intention of the sealer forward', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 5)
      // A sealer that died before it wrote the chain.
      await (await memory.active(log)).seal({ kind: 'memory', params: { intended: true } })
      expect(await log.checkTail()).toBe(5)
      expect(log.chain.segments.at(-1)).toMatchObject({ start: 5, config: { params: { intended: true } } })
      expect(memory.counters.get('roll-forward')).toBe(1)
      await appendAll(log, 1)
      expect(await log.checkTail()).toBe(6)
      await log.close()
    }))

  it('goes on as soon as its own extend is done: the pause before a roll-forward is for sealers elsewhere', () =>
    withMemory(async (memory, world) => {
      let waited = 0
      for (let turns = 0; turns < 60; turns++) {
        const log = await memory.open({ onEvent: (event) => event === 'append retried' && waited++ })
        const startMs = world.clock.monotonicMs()
        const extending = log.extend(MEMORY)
        for (let i = 0; i < turns; i++) await null
        expect((await log.append(bytes('amid'))).kind).toBe('appended')
        await extending
        expect(world.clock.monotonicMs() - startMs).toBeLessThan(50)
        await log.close()
      }
      expect(waited).toBeGreaterThan(0)
    }))

  it('of racing extends lets one win; the others say so and leave nothing behind', () =>
    withMemory(async (memory) => {
      const logs = await Promise.all([memory.open(), memory.open(), memory.open()])
      await appendAll(logs[0] as VirtualLog, 5)
      const outcomes = await Promise.all(logs.map((log, i) => log.extend({ kind: 'memory', params: { i } })))
      const won = outcomes.filter(({ kind }) => kind === 'extended')
      expect(won).toHaveLength(1)
      expect(outcomes.map(({ chain }) => chain.segments.length)).toEqual([2, 2, 2])
      expect(await memory.memory.list()).toHaveLength(2)
      for (const log of logs) await log.close()
    }))

  it('leaves nothing of an attempt that failed for sure, however often it is made', () =>
    withMemory(async (memory) => {
      const { memory: provider } = memory
      const register = new MemoryMetaStore(memory.register)
      const full = () => {
        throw new DelosError('DISK_FULL', 'no space')
      }
      let space = true
      const halfMade: LogletProvider = {
        kind: 'memory',
        create: async (config) => {
          const loglet = await provider.create(config)
          return space ? loglet : full()
        },
        open: (config) => provider.open(config),
        destroy: (config) => provider.destroy(config),
        list: () => provider.list(),
      }
      let writable = true
      const metastore: MetaStore = {
        read: () => register.read(),
        write: async (value, version) => (writable ? register.write(value, version) : full()),
        close: () => register.close(),
      }
      const log = await memory.open({ providers: [halfMade], metastore })
      for (let round = 0; round < 10; round++) {
        space = round % 2 === 0
        writable = !space
        await expect(log.extend(MEMORY)).rejects.toMatchObject({ code: 'DISK_FULL' })
      }
      expect(await provider.list()).toHaveLength(1)
      space = true
      writable = true
      expect(await log.append(bytes('goes on'))).toMatchObject({ kind: 'appended', pos: 0 })
      await log.close()
    }))

  it('completes an intention whose engine is gone with the recipe of the next extend', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 5)
      await (await memory.active(log)).seal({ kind: 'gone', params: {} })
      await log.extend(MEMORY)
      await appendAll(log, 1)
      expect(await log.checkTail()).toBe(6)
      await log.close()
    }))

  it('answers within its limits when a loglet or the metastore hangs', () =>
    withMemory(async (memory) => {
      const log = await memory.open({ appendLimitMs: 500, readLimitMs: 300, chainLimitMs: 200 })
      const end = (log as unknown as { active: { end: { loglet: Loglet } } }).active.end
      const never = () => new Promise<never>(() => undefined)
      Object.assign(end.loglet, { append: never, checkTail: never, readNext: never })
      expect(await log.append(bytes('a'))).toMatchObject({ kind: 'indeterminate', cause: { code: 'INDETERMINATE' } })
      await expect(log.checkTail()).rejects.toMatchObject({ code: 'TIMEOUT' })
      await (await memory.active(log)).append(bytes('b'))
      await expect(log.readNext(LOG_START, END, 1)).rejects.toMatchObject({ code: 'TIMEOUT' })
      await log.close()
      const stuck = new MemoryMetaStore(memory.register)
      Object.assign(stuck, { read: never })
      await expect(memory.open({ metastore: stuck, chainLimitMs: 200 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    }))

  it('neither keeps whoever trims waiting for a loglet that hangs, nor piles up trims, and can be closed', () =>
    withMemory(async (memory) => {
      const log = await memory.open({ readLimitMs: 300 })
      await appendAll(log, 10)
      const { loglet } = (log as unknown as { active: { end: { loglet: Loglet } } }).active.end
      let calls = 0
      const hanging = new Promise<never>((_, reject) => {
        const close = loglet.close.bind(loglet)
        const prefixTrim = () => {
          calls++
          return hanging
        }
        const checkTail = () => hanging
        Object.assign(loglet, { prefixTrim, checkTail })
        loglet.close = () => {
          reject(new DelosError('CLOSED', 'closed'))
          return close()
        }
      })
      const trims = [1, 2, 3, 4, 5].map((to) => log.prefixTrim(pos(to)))
      for (const ending of await Promise.allSettled(trims))
        expect(ending).toMatchObject({ reason: { code: 'TIMEOUT' } })
      expect(calls).toBe(1)
      await expect(log.checkTail()).rejects.toMatchObject({ code: 'TIMEOUT' })
      await log.close()
      expect(calls).toBe(1)
    }))

  it('refuses after it was closed', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await log.close()
      await log.close()
      expect(await log.append(bytes('a'))).toMatchObject({ kind: 'refused', cause: { code: 'CLOSED' } })
      await expect(log.checkTail()).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(log.readNext(LOG_START, END, 1)).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(log.prefixTrim(END)).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(log.extend(MEMORY)).rejects.toMatchObject({ code: 'CLOSED' })
    }))

  it('refuses an entry past maxEntryBytes and takes one of exactly that', () =>
    withMemory(async (memory) => {
      const log = await memory.open({ maxEntryBytes: 5000 })
      expect((await log.append(Buffer.alloc(5000, 7))).kind).toBe('appended')
      expect(await log.append(Buffer.alloc(5001))).toMatchObject({ kind: 'refused', cause: { code: 'LIMIT_EXCEEDED' } })
      await log.close()
    }))
})

describe('chunks', () => {
  it('carry entries larger than the loglet, at the position of their last one, interleaved with others', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      const entries = Array.from({ length: 12 }, (_, i) => Buffer.alloc(300 * (i + 1), 65 + i))
      const outcomes = await Promise.all(entries.map((entry) => log.append(entry)))
      const read = new Map((await readAll(log)).map((entry) => [entry.pos as number, entry.bytes]))
      expect(read.size).toBe(entries.length)
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.kind !== 'appended') throw new Error(outcome.kind)
        expect(Buffer.compare(read.get(outcome.pos) ?? Buffer.alloc(0), entries[i] as Buffer)).toBe(0)
      }
      await log.close()
    }))

  it('are joined for a reader that starts between them', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 2)
      const outcome = await log.append(Buffer.alloc(5000, 66))
      const fresh = await memory.open()
      if (outcome.kind !== 'appended') throw new Error(outcome.kind)
      for (let from = 2; from <= outcome.pos; from++) {
        const read = await fresh.readNext(pos(from), END, 100)
        expect(read.entries.map((entry) => [entry.pos, entry.bytes.length])).toEqual([[outcome.pos, 5000]])
      }
      await log.close()
      await fresh.close()
    }))

  it('of an abandoned set, of another segment, or too far apart are no entry', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      const set = Buffer.alloc(16, 1)
      const loglet = await memory.active(log)
      await loglet.append(encodeChunk(set, 0, bytes('abandoned'), undefined))
      await appendAll(log, 1)
      await log.extend(MEMORY)
      const next = await memory.active(log)
      await next.append(encodeChunk(set, 1, bytes('crossing'), pos(0)))
      await next.append(encodeChunk(Buffer.alloc(16, 2), 0, bytes('far'), undefined))
      await appendAll(log, 1100)
      await next.append(encodeChunk(Buffer.alloc(16, 2), 1, bytes('away'), pos(3)))
      await appendAll(log, 1)
      const all = await texts(log)
      expect(all).toHaveLength(1102)
      expect(all.filter((text) => !text.startsWith('entry'))).toEqual([])
      await log.close()
    }))

  it('that look like entries and entries that look like chunks come back as they were', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      const tricky = [
        encodeChunk(Buffer.alloc(16), 0, bytes('x'), undefined),
        Buffer.from([0xf5]),
        Buffer.from('f5444301', 'hex'),
      ]
      for (const entry of tricky) await log.append(entry)
      const read = await readAll(log)
      expect(read.map((entry) => Buffer.from(entry.bytes).toString('hex'))).toEqual(
        tricky.map((entry) => entry.toString('hex')),
      )
      await log.close()
    }))

  it('are not split by trimming while somebody may still read their entry', () =>
    withMemory(async (memory) => {
      const [log, reader] = [await memory.open(), await memory.open()]
      await appendAll(log, 5)
      const outcome = await log.append(Buffer.alloc(5000, 66))
      await appendAll(log, 5)
      if (outcome.kind !== 'appended') throw new Error(outcome.kind)
      await readAll(log)
      await log.prefixTrim(outcome.pos)
      expect(log.oldest().pos).toBe(5)
      expect((await readAll(reader, outcome.pos))[0]?.bytes.length).toBe(5000)
      // Its last chunk may be in the log once more, up to a span behind the first.
      await log.prefixTrim(pos(outcome.pos + 1))
      expect(log.oldest().pos).toBe(5)
      await appendAll(log, CHUNK_SPAN_MAX)
      await readAll(log)
      await log.prefixTrim(pos(outcome.pos + 1))
      expect(log.oldest().pos).toBe(outcome.pos + 1)
      await log.close()
      await reader.close()
    }))
})

describe('an entry in chunks, beside more appends than its chunks may lie apart', () => {
  const CROWD = 2 * CHUNK_SPAN_MAX

  /** Appends without end, so that so many are under way at any time, until `crowding` is false. */
  const crowd = async (log: SharedLog, state: { crowding: boolean }): Promise<void> => {
    const one = async (): Promise<void> => {
      while (state.crowding) await log.append(bytes('small'))
    }
    await Promise.all(Array.from({ length: CROWD }, one))
  }

  it('is appended alone once they came between, and no append of this server is lost or refused', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      const state = { crowding: true }
      const crowding = crowd(log, state)
      const outcome = await log.append(Buffer.alloc(3000, 66))
      state.crowding = false
      await crowding
      if (outcome.kind !== 'appended') throw new Error(outcome.cause.message)
      expect(memory.counters.get('chunk set restarted')).toBe(1)
      expect((await log.readNext(outcome.pos, END, 1)).entries[0]?.bytes.length).toBe(3000)
      await log.close()
    }))

  it('is refused with the limit when another server crowds it again and again', () =>
    withMemory(async (memory) => {
      const [log, other] = [await memory.open(), await memory.open()]
      const state = { crowding: true }
      const crowding = crowd(other, state)
      const outcome = await log.append(Buffer.alloc(3000, 66))
      expect(outcome).toMatchObject({
        kind: 'refused',
        cause: { code: 'OVERLOADED', message: expect.stringContaining('more than 1024 positions apart, 8 times') },
      })
      expect((await log.append(bytes('small'))).kind).toBe('appended')
      state.crowding = false
      await crowding
      await log.close()
      await other.close()
    }))
})

describe('trimming', () => {
  it('frees the loglets, then drops whole segments from the chain and destroys them', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      for (let i = 0; i < 3; i++) {
        await appendAll(log, 10)
        await log.extend(MEMORY)
      }
      await readAll(log)
      await log.prefixTrim(pos(25))
      expect(log.chain.segments[0]?.start).toBe(20)
      expect(log.oldest().pos).toBe(25)
      expect(await memory.memory.list()).toHaveLength(2)
      const read = await log.readNext(LOG_START, END, 1)
      expect(read).toMatchObject({ trimmedTo: 25, entries: [{ pos: 25 }] })
      await log.prefixTrim(END)
      expect(log.chain.segments).toHaveLength(1)
      expect(await log.checkTail()).toBe(30)
      await log.close()
    }))

  it('keeps what the retention policy keeps, and lets it go as it grows old', () =>
    withMemory(async (memory, world) => {
      const log = await memory.open({ retention: { hours: 1, bytes: 1e9 }, trimIntervalMs: 60_000 })
      await appendAll(log, 10)
      await world.sleep(1_800_000)
      await appendAll(log, 10)
      await readAll(log)
      await log.prefixTrim(pos(15))
      expect(log.oldest().pos).toBe(0)
      await world.sleep(1_900_000)
      // Of the tenth entry it is only known that it is no older than the ninth.
      expect(log.oldest().pos).toBe(9)
      expect(log.oldest().wallMs).toBeGreaterThan(0)
      await world.sleep(1_800_000)
      expect(log.oldest().pos).toBe(15)
      await log.close()
    }))

  it('leaves a server that is behind with an answer that says what is gone', () =>
    withMemory(async (memory) => {
      const [a, b] = [await memory.open(), await memory.open()]
      await appendAll(a, 10)
      await a.extend(MEMORY)
      await appendAll(a, 10)
      await readAll(a)
      await a.prefixTrim(pos(10))
      const read: LogRead = await b.readNext(pos(3), END, 1000)
      expect(read).toMatchObject({ trimmedTo: 10 })
      expect(await texts(b, read.next)).toEqual(await texts(a, read.next))
      await a.close()
      await b.close()
    }))
})

describe('what operators do', () => {
  it('modify moves a sealed segment to a copy, after comparing it', () =>
    withMemory(async (memory) => {
      const [log, other] = [await memory.open(), await memory.open()]
      await appendAll(log, 10)
      await log.extend(MEMORY)
      await appendAll(log, 5)
      expect(await other.checkTail()).toBe(15)
      expect(await texts(other)).toHaveLength(15)
      const before = await texts(log)
      const config = { ...MEMORY, nonce: 'copy' }
      const copy = await memory.memory.create(config)
      for (const [i, text] of before.slice(0, 10).entries()) await copy.append(bytes(i === 7 ? 'other' : text))
      await expect(log.modify(LOG_START, config)).rejects.toMatchObject({ code: 'MISMATCH' })
      await memory.memory.destroy(config)
      const good = { ...MEMORY, nonce: 'good' }
      const goodCopy = await memory.memory.create(good)
      for (const text of before.slice(0, 10)) await goodCopy.append(bytes(text))
      await goodCopy.append(bytes('zombie'))
      await expect(log.modify(pos(10), good)).rejects.toMatchObject({ code: 'CONFLICT' })
      await log.modify(LOG_START, good)
      expect(log.chain.segments[0]).toMatchObject({ start: 0, end: 10, config: { nonce: 'good' } })
      expect(await texts(log)).toEqual(before)
      // The other server still knows the destroyed loglet: it refetches the chain.
      expect(await texts(other)).toEqual(before)
      await log.close()
      await other.close()
    }))

  it('modify is neither swept away nor disturbed by other changes of the chain', () =>
    withMemory(async (memory) => {
      for (let turns = 0; turns < 40; turns++) {
        const log = await memory.open()
        await appendAll(log, 5)
        await log.extend(MEMORY)
        const before = await texts(log)
        const segment = log.chain.segments.at(-2) as ChainSegment
        const copied = { ...MEMORY, nonce: `copy-${turns}` }
        const copy = await memory.memory.create(copied)
        for (const entry of await readAll(log, segment.start)) await copy.append(entry.bytes)
        const extending = turns % 2 === 0 ? log.extend(MEMORY) : Promise.resolve()
        const modifying = log.modify(segment.start, copied)
        for (let i = 0; i < turns; i++) await null
        await Promise.all([modifying, extending, log.sweepOrphans()])
        expect(log.chain.segments.some(({ config }) => config.nonce === copied.nonce)).toBe(true)
        expect(await texts(log)).toEqual(before)
        await log.close()
      }
    }))

  it('a voided position is delivered, marked, on every server that learns of it', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 5)
      await log.voidPosition(pos(3))
      await expect(log.voidPosition(pos(3))).rejects.toMatchObject({ code: 'CONFLICT' })
      const fresh = await memory.open()
      for (const server of [log, fresh]) {
        expect((await readAll(server)).map(({ voided }) => voided)).toEqual([false, false, false, true, false])
        await server.close()
      }
    }))

  it('an entry that repairs an earlier one is delivered with that one, and at its own place, on every server', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 5)
      await log.repairPosition({ position: pos(1), repairs: [] }, pos(4))
      await log.repairPosition({ position: pos(1), repairs: [pos(4)] }, pos(3))
      for (const [at, entry] of [
        [3, 3],
        [0, 4],
      ] as const) {
        await expect(log.repairPosition({ position: pos(at), repairs: [] }, pos(entry))).rejects.toMatchObject({
          code: 'CONFLICT',
        })
      }
      const fresh = await memory.open()
      for (const server of [log, fresh]) {
        const { entries } = await server.readNext(pos(0), pos(5), 1 << 20)
        expect(entries.map(({ pos: at }) => at)).toEqual([0, 1, 2, 3, 4])
        expect(entries[1]?.repairs?.map(({ pos: at }) => at)).toEqual([4, 3])
        expect(entries[1]?.repairs?.[0]?.bytes).toEqual(entries[4]?.bytes)
        expect(entries[2]?.repairs).toBeUndefined()
      }
      // Named, and not in the log as far as it is known here: whoever comes there waits.
      await log.voidPosition(pos(2), { position: pos(2), repairs: [] }, pos(5))
      await expect(log.readNext(pos(0), pos(5), 1 << 20)).rejects.toMatchObject({ code: 'NOT_READY', retryable: true })
      await appendAll(log, 1)
      const noted = (await log.readNext(pos(0), pos(5), 1 << 20)).entries[2]
      expect([noted?.voided, noted?.repairs?.map(({ pos: at }) => at)]).toEqual([true, [5]])
      await log.close()
      await fresh.close()
    }))

  it('force-end leaves a dead loglet, not below a durable cursor, only if it is fenced', () =>
    withMemory(async (memory) => {
      const log = await memory.open()
      await appendAll(log, 10)
      const dead = await memory.active(log)
      const proof = { fenced: true, durableCursor: pos(6) } as const
      await expect(log.forceEnd(LOG_START, pos(5), MEMORY, proof)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(log.forceEnd(pos(3), pos(8), MEMORY, proof)).rejects.toMatchObject({ code: 'CONFLICT' })
      await log.forceEnd(LOG_START, pos(8), MEMORY, proof)
      expect(await log.checkTail()).toBe(8)
      await appendAll(log, 2, 'after')
      await dead.append(bytes('late'))
      expect((await texts(log)).slice(6)).toEqual(['entry 6', 'entry 7', 'after 0', 'after 1'])
      await log.close()
    }))
})

describe('the virtual log over files', () => {
  const openOn = async ({ disk, clock, timers, random }: SimRuntime, counters: Counters): Promise<VirtualLog> => {
    await disk.makeDir('db/meta')
    await disk.makeDir('db/log')
    for (const directory of ['.', 'db']) await disk.syncDir(directory)
    const metastore = await FileMetaStore.open('db/meta', disk)
    const loglets = new FileLogletProvider('db/log', disk, clock, { segmentBytes: 8192, reserveBytes: 0 })
    const log = await VirtualLog.open({
      metastore,
      providers: [loglets],
      clock,
      timers,
      random,
      initial: FILE,
      maxEntryBytes: 10_000,
      rollForwardMs: 20,
      onEvent: counters.bump,
    })
    await log.sweepOrphans()
    return log
  }

  it('loses nothing to a crash at any step of opening, appending and extending', async () => {
    const counters = new Counters()
    for (let step = 0; step < 120; step++) {
      await simulate({ seed: step }, async (world) => {
        const server = world.server('a')
        const acknowledged = new Map<number, string>()
        const unanswered = new Set<string>()
        const live = async () => {
          const log = await openOn(server.boot(), counters)
          for (let i = 0; ; i++) {
            const text = `${step}.${acknowledged.size}.${unanswered.size}.${i} ${'x'.repeat(i % 7 === 6 ? 5000 : 50)}`
            unanswered.add(text)
            const outcome = await log.append(bytes(text))
            if (outcome.kind !== 'appended') throw outcome.cause
            unanswered.delete(text)
            acknowledged.set(outcome.pos, text)
            if (i % 3 === 2) await log.extend(FILE)
          }
        }
        for (let round = 0; round < 3; round++) {
          const ended = live().catch((error: unknown) => expect(error).toBeInstanceOf(DelosError))
          // Steps of a quarter of a millisecond: a sync takes several.
          await world.sleep(step * 0.25 + world.random.fraction())
          if (world.random.chance(0.3)) server.kill()
          else server.crash()
          void ended
        }
        const log = await openOn(server.boot(), counters)
        await log.checkTail()
        const read = new Map(
          (await readAll(log)).map((entry) => [entry.pos as number, Buffer.from(entry.bytes).toString()]),
        )
        for (const [at, text] of acknowledged) expect(read.get(at)).toBe(text)
        for (const text of read.values())
          expect(unanswered.has(text) || [...acknowledged.values()].includes(text)).toBe(true)
        expect(new Set(read.values()).size).toBe(read.size)
        await log.sweepOrphans()
        const stored = (await server.runtime.disk.list('db/log')).length
        expect(stored).toBe(log.chain.segments.length)
        expect((await log.append(bytes('goes on'))).kind).toBe('appended')
        await log.close()
      })
    }
    expect(counters.requireAll(['extended', 'roll-forward', 'orphan destroyed', 'chunked append'])).toEqual([])
  })

  it('writes the chain where an operator can read it', async () => {
    await simulate({ seed: 1 }, async (world) => {
      const runtime = world.server('a').boot()
      const log = await openOn(runtime, new Counters())
      await appendAll(log, 3)
      await log.extend(FILE)
      const file = await runtime.disk.open('db/meta/register', 'read')
      const stored = Buffer.alloc(await file.size())
      await file.read(stored, 0)
      expect(decodeChain(stored.subarray(24))).toEqual(log.chain)
      expect((await log.readNext(pos(0), pos(2), 1000)).entries).toHaveLength(2)
      await log.close()
    })
  })
})

async function optionsOf(memory: MemoryWorld): Promise<VirtualLogOptions> {
  const log = await memory.open()
  const { metastore, providers, clock, timers, random } = (log as unknown as { options: VirtualLogOptions }).options
  await log.close()
  return { metastore, providers, clock, timers, random }
}

import { describe, expect, it } from 'vitest'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { simulate } from '../sim/simulation.ts'
import type { ChainSegment } from './chain/chain.ts'
import { ChunkAssembler } from './chunk-assembler.ts'
import { CHUNK_SPAN_MAX, decodeMarked, encodeChunk, isChunk } from './chunk-codec.ts'
import { LOG_START, type LogletOffset, type LogPos } from './position.ts'
import { VirtualLog } from './virtual-log.ts'

const END = Number.MAX_SAFE_INTEGER as LogPos
const CHUNK_BYTES = 100

/** Runs `body` with a way to open logs over one world of memory loglets, each like another server's. */
function inWorld(
  body: (open: () => Promise<VirtualLog>, provider: MemoryLogletProvider) => Promise<void>,
): Promise<void> {
  return simulate({ seed: 1 }, async ({ clock, random, timers }) => {
    const provider = new MemoryLogletProvider({ maxEntryBytes: CHUNK_BYTES })
    const register = new MemoryRegister()
    const initial = { kind: 'memory', params: {} }
    const metastore = () => new MemoryMetaStore(register)
    const retention = { hours: 0, bytes: 0 }
    const open = () =>
      VirtualLog.open({ metastore: metastore(), providers: [provider], clock, timers, random, initial, retention })
    await body(open, provider)
  })
}

describe('an entry larger than its loglet takes', () => {
  it('comes back as it was, also if it begins like a chunk', async () => {
    await inWorld(async (open) => {
      const log = await open()
      for (const length of [CHUNK_BYTES - 5, CHUNK_BYTES - 4, CHUNK_BYTES, 3 * CHUNK_BYTES]) {
        const entry = Buffer.alloc(length, 'x')
        entry.set(encodeChunk(Buffer.alloc(16), 0, new Uint8Array(0), undefined))
        const outcome = await log.append(entry)
        const pos = outcome.kind === 'appended' ? outcome.pos : LOG_START
        const { entries } = await log.readNext(pos, END, 1)
        expect(entries.map(({ bytes }) => Buffer.from(bytes).equals(entry))).toEqual([true])
      }
    })
  })

  it('is not split by a trim when it lies in the first range that this server read', async () => {
    await inWorld(async (open) => {
      const large = Buffer.alloc(5 * CHUNK_BYTES, 'y')
      const writer = await open()
      await writer.append(large)
      await writer.extend({ kind: 'memory', params: {} })
      const outcome = await writer.append(large)
      const pos = outcome.kind === 'appended' ? outcome.pos : LOG_START
      const log = await open()
      const start = log.chain.segments[1]?.start as LogPos
      await log.readNext(start, END, 10_000)
      await log.prefixTrim(pos)
      const { entries } = await log.readNext(pos, END, 1)
      expect(entries.map(({ bytes }) => Buffer.from(bytes).equals(large))).toEqual([true])
    })
  })

  it('holds up no reader once parts of it are trimmed: it counts as trimmed', async () => {
    await inWorld(async (open, provider) => {
      const log = await open()
      const loglet = await provider.open((log.chain.segments[0] as ChainSegment).config)
      const small = Buffer.from('small')
      const set = Buffer.alloc(16, 1)
      await loglet.append(encodeChunk(set, 0, Buffer.from('one '), undefined))
      await loglet.append(small)
      await loglet.append(encodeChunk(set, 1, Buffer.from('two'), LOG_START))
      await loglet.append(small)
      const pos = 2
      // Trimming takes what it can: here a part of what was not needed any more.
      await loglet.prefixTrim(1 as LogletOffset)
      const first = await log.readNext(LOG_START, END, 10_000)
      expect({ ...first, entries: first.entries.map((entry) => entry.pos) }).toEqual({
        entries: [1],
        next: pos,
        trimmedTo: 1,
      })
      const second = await log.readNext(first.next, END, 10_000)
      expect({ ...second, entries: second.entries.map((entry) => entry.pos) }).toEqual({
        entries: [pos + 1],
        next: pos + 2,
        trimmedTo: pos + 1,
      })
    })
  })
})

describe('ChunkAssembler', () => {
  const set = Buffer.alloc(16, 7)
  const part = (index: number, first?: number) => {
    const decoded = decodeMarked(encodeChunk(set, index, Buffer.from('part'), first as LogPos | undefined))
    if (!isChunk(decoded)) throw new Error('a chunk decodes as a chunk')
    return decoded
  }
  const at = (pos: number) => pos as LogPos
  const withASetAt60To70 = () => {
    const assembler = new ChunkAssembler(1_000)
    assembler.beginRead(at(50))
    assembler.notePart(part(0), at(60))
    assembler.take(part(1, 60), at(70))
    assembler.endRead(at(80))
    return assembler
  }

  it('lets nobody trim into a set that was seen in the first range read', () => {
    const assembler = withASetAt60To70()
    expect(assembler.trimBound(at(65), at(50))).toBe(60)
  })

  it('lets nobody trim into a set whose last chunk may come once more, until that would be too late', () => {
    const assembler = withASetAt60To70()
    expect(assembler.trimBound(at(75), at(50))).toBe(60)
    assembler.beginRead(at(80))
    assembler.take(part(1, 60), at(85))
    assembler.endRead(at(90))
    // Somebody reads the first one again.
    assembler.take(part(1, 60), at(70))
    expect(assembler.trimBound(at(85), at(50))).toBe(60)
    assembler.endRead(at(60 + CHUNK_SPAN_MAX + 1))
    expect(assembler.trimBound(at(85), at(50))).toBe(60)
    expect(assembler.trimBound(at(86), at(50))).toBe(86)
  })
})

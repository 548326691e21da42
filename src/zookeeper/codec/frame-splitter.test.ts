import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameSplitter, type SplitOutcome } from './frame-splitter.ts'
import { fourLetterWord } from './handshake.ts'

const frame = (body: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(4 + body.length)
  bytes.writeInt32BE(body.length)
  bytes.set(body, 4)
  return bytes
}

const length = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** Cuts `stream` at the given positions (taken modulo its length). */
function chunksOf(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]
  return at.slice(1).map((end, index) => Buffer.from(stream.subarray(at[index], end)))
}

const bodies = fc.array(fc.uint8Array({ maxLength: 700, size: 'max' }), { maxLength: 12 })
const cuts = fc.array(fc.nat(8000), { maxLength: 30 })

describe('FrameSplitter', () => {
  it('yields the same frames whatever chunks they come in, and their bytes stay valid', () => {
    fc.assert(
      fc.property(bodies, cuts, (expected, at) => {
        const splitter = new FrameSplitter()
        const got: Buffer[] = []
        for (const chunk of chunksOf(Buffer.concat(expected.map(frame)), at)) {
          const outcome = splitter.push(chunk, (source, start, end) => got.push(source.subarray(start, end)) > 0)
          expect(outcome.kind).toBe('drained')
        }
        expect(got.map((body) => body.toString('hex'))).toEqual(
          expected.map((body) => Buffer.from(body).toString('hex')),
        )
        expect(splitter.pendingBytes).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  it('loses and repeats nothing when the handler stops after any frame, chunks going on meanwhile', () => {
    fc.assert(
      fc.property(bodies, cuts, fc.infiniteStream(fc.boolean()), (expected, at, goesOn) => {
        const splitter = new FrameSplitter()
        const got: string[] = []
        const take = (source: Buffer, start: number, end: number): boolean => {
          got.push(source.toString('hex', start, end))
          return goesOn.next().value
        }
        let outcome: SplitOutcome = { kind: 'drained' }
        for (const chunk of chunksOf(Buffer.concat(expected.map(frame)), at)) {
          outcome = splitter.push(chunk, take)
          if (outcome.kind === 'stopped' && goesOn.next().value) outcome = splitter.resume(take)
        }
        while (outcome.kind === 'stopped') outcome = splitter.resume(take)
        expect(got).toEqual(expected.map((body) => Buffer.from(body).toString('hex')))
        expect(splitter.pendingBytes).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  it('accepts a frame of exactly the limit and an empty one, and reports a longer or negative length for good', () => {
    const one = new FrameSplitter(10)
    const sizes: number[] = []
    const note = (_: Buffer, start: number, end: number): boolean => sizes.push(end - start) > 0
    expect(one.push(Buffer.concat([frame(new Uint8Array(10)), frame(new Uint8Array(0))]), note).kind).toBe('drained')
    expect(one.push(Buffer.concat([frame(new Uint8Array(3)), length(11), Buffer.alloc(11)]), note)).toEqual({
      kind: 'too-long',
      length: 11,
    })
    expect(one.push(frame(new Uint8Array(1)), note)).toEqual({ kind: 'too-long', length: 11 })
    expect(sizes).toEqual([10, 0, 3])
    expect(one.pendingBytes).toBe(0)

    const other = new FrameSplitter(10)
    expect(other.push(Buffer.from([0xff]), note).kind).toBe('drained')
    expect(other.push(Buffer.from([0xff, 0xff, 0xff, 0]), note)).toEqual({ kind: 'negative', length: -1 })
  })

  it('reports a four-letter word as an impossible length that spells it, also byte by byte', () => {
    const splitter = new FrameSplitter()
    const outcomes = [...Buffer.from('ruok')].map((byte) => splitter.push(Buffer.from([byte]), () => true))
    const last = outcomes.at(-1)
    expect(last?.kind).toBe('too-long')
    expect(last !== undefined && 'length' in last ? fourLetterWord(last.length) : undefined).toBe('ruok')
  })

  it('holds at most about twice what has come of a frame, whatever length it announces', () => {
    const splitter = new FrameSplitter()
    splitter.push(Buffer.concat([length(0xfffff), Buffer.alloc(100)]), () => true)
    expect(splitter.pendingBytes).toBe(104)
    const held = (splitter as unknown as { partial: Buffer }).partial
    expect(held.length).toBeLessThanOrEqual(512)
  })

  it('copies a frame of a megabyte in small chunks a linear number of bytes', () => {
    const body = Buffer.alloc(0xfffff, 7)
    const stream = frame(body)
    const splitter = new FrameSplitter()
    let grown = 0
    let held: Buffer | undefined
    let seen = 0
    for (let at = 0; at < stream.length; at += 1000) {
      splitter.push(stream.subarray(at, at + 1000), (source, start, end) => {
        seen += body.equals(source.subarray(start, end)) ? 1 : 0
        return true
      })
      const now = (splitter as unknown as { partial: Buffer }).partial
      if (now !== held) grown += 1
      held = now
    }
    expect(seen).toBe(1)
    expect(grown).toBeLessThan(16)
  })
})

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogletConfig } from '../loglet.ts'
import type { LogPos } from '../position.ts'
import {
  activeSegment,
  brokenInvariant,
  type Chain,
  chainStart,
  EDITS_KEPT,
  repairsAt,
  segmentAt,
  VOIDED_MAX,
} from './chain.ts'
import { decodeChain, encodeChain } from './chain-codec.ts'
import {
  type Edited,
  extendChain,
  firstChain,
  modifyChain,
  repairInChain,
  touchChain,
  truncateChain,
  voidInChain,
} from './chain-edits.ts'

const config = (nonce: string): LogletConfig => ({ kind: 'memory', params: { n: 1 }, nonce })
const pos = (value: number) => value as LogPos

/** A random program of edits; numbers are taken relative to the chain so that most fit and some do not. */
const programs = fc.array(
  fc.tuple(
    fc.constantFrom('extend', 'truncate', 'modify', 'void', 'note', 'repair', 'touch'),
    fc.integer({ min: -3, max: 40 }),
  ),
  { maxLength: 60 },
)

function apply(chain: Chain, kind: string, n: number, id: string): Edited {
  const active = activeSegment(chain)
  if (kind === 'extend') return extendChain(chain, pos(active.start + n), config(id), id)
  if (kind === 'truncate') return truncateChain(chain, pos(chainStart(chain) + 3 * n), id)
  if (kind === 'modify')
    return modifyChain(chain, chain.segments[Math.abs(n) % chain.segments.length]?.start ?? pos(0), config(id), id)
  if (kind === 'void') return voidInChain(chain, pos(chainStart(chain) + n), id)
  const position = pos(chainStart(chain) + n)
  const stopped = { position, repairs: repairsAt(chain, position) }
  if (kind === 'note') return voidInChain(chain, position, id, stopped, pos(chainStart(chain) + 5 * n))
  if (kind === 'repair') return repairInChain(chain, stopped, pos(chainStart(chain) + 7 * n), id)
  return touchChain(chain, id)
}

describe('the chain', () => {
  it('stays sound under any edits, serves every position from its start exactly once, and counts its versions', () => {
    fc.assert(
      fc.property(programs, (program) => {
        let chain = firstChain(config('first'), 'e')
        for (const [i, [kind, n]] of program.entries()) {
          const edited = apply(chain, kind, n, `e${i}`)
          if (edited.kind === 'rejected') continue
          expect(brokenInvariant(edited.chain)).toBeUndefined()
          expect(edited.chain.version).toBe(chain.version + 1)
          expect(edited.chain.edits.at(-1)).toBe(`e${i}`)
          expect(chainStart(edited.chain)).toBeGreaterThanOrEqual(chainStart(chain))
          chain = edited.chain
          for (const at of chain.segments.flatMap(({ start }) => [start - 1, start, start + 1])) {
            const serving = chain.segments.filter(
              ({ start, end: stop }) => at >= start && (stop === undefined || at < stop),
            )
            expect(serving).toHaveLength(at < chainStart(chain) ? 0 : 1)
            expect(segmentAt(chain, pos(at))).toBe(serving[0])
          }
        }
      }),
    )
  })

  it('never changes what an extend leaves behind: earlier ranges keep their loglet', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 20 }), (lengths) => {
        let chain = firstChain(config('first'), 'e')
        for (const [i, length] of lengths.entries()) {
          const before = chain
          const end = pos(activeSegment(chain).start + length)
          const edited = extendChain(chain, end, config(`n${i}`), `e${i}`)
          if (edited.kind === 'rejected') throw new Error(edited.reason)
          chain = edited.chain
          const boundaries = before.segments.flatMap(({ start }) => [start, start + 1]).filter((at) => at < end)
          for (const at of boundaries)
            expect(segmentAt(chain, pos(at))?.config).toBe(segmentAt(before, pos(at))?.config)
          expect(segmentAt(chain, end)?.config.nonce).toBe(`n${i}`)
        }
      }),
    )
  })

  it('rejects what does not fit, and says why', () => {
    const edited = extendChain(firstChain(config('a'), 'e1'), pos(10), config('b'), 'e2')
    if (edited.kind === 'rejected') throw new Error(edited.reason)
    const { chain } = edited
    const reason = (result: Edited) => (result.kind === 'rejected' ? result.reason : 'accepted')
    expect(reason(extendChain(chain, pos(9), config('c'), 'e'))).toBe(
      'end 9 lies before the open segment, which starts at 10',
    )
    expect(reason(extendChain(chain, pos(20), config('a'), 'e'))).toBe('nonce a is in the chain')
    expect(reason(modifyChain(chain, pos(10), config('c'), 'e'))).toBe('the segment at 10 is open')
    expect(reason(modifyChain(chain, pos(5), config('c'), 'e'))).toBe('no segment starts at 5')
    expect(reason(truncateChain(chain, pos(9), 'e'))).toBe('no segment ends at or below 9')
    let full = chain
    for (let i = 0; i < VOIDED_MAX; i++) {
      const next = voidInChain(full, pos(i), `v${i}`)
      if (next.kind === 'edited') full = next.chain
    }
    expect(full.voided).toHaveLength(VOIDED_MAX)
    expect(full.edits).toHaveLength(EDITS_KEPT)
    expect(reason(voidInChain(full, pos(99), 'e'))).toBe('64 positions are voided, no more fit')
    expect(reason(voidInChain(chain, pos(3), 'e'))).toBe('accepted')
    expect(reason(truncateChain(full, pos(10), 'e'))).toBe('accepted')
  })

  it('takes a repair or a void only of a position that is as it was for the server that stopped there', () => {
    const chain = firstChain(config('a'), 'e')
    const repaired = (from: Chain, repairs: readonly number[], entry: number): Chain | string => {
      const edited = repairInChain(from, { position: pos(3), repairs: repairs.map(pos) }, pos(entry), 'r')
      return edited.kind === 'edited' ? edited.chain : edited.reason
    }
    const reason = (result: Edited) => (result.kind === 'rejected' ? result.reason : 'accepted')
    const once = repaired(chain, [], 7) as Chain
    expect(repaired(once, [], 8)).toContain('start it again first')
    expect(reason(voidInChain(once, pos(3), 'v', { position: pos(3), repairs: [] }))).toContain('start it again first')
    const twice = repaired(once, [7], 8) as Chain
    expect(repairsAt(twice, pos(3))).toEqual([7, 8])
    // One that does harm goes by a void of its own.
    const without = voidInChain(twice, pos(8), 'v', { position: pos(3), repairs: [pos(7), pos(8)] })
    expect(without.kind === 'edited' && repairsAt(without.chain, pos(3))).toEqual([7])
    const voided = voidInChain(twice, pos(3), 'v', { position: pos(3), repairs: [pos(7), pos(8)] }, pos(9))
    expect(voided.kind === 'edited' && repaired(voided.chain, [7, 8, 9], 10)).toContain('start it again first')
  })

  it('is read back from its bytes, and the stored format stays', () => {
    fc.assert(
      fc.property(programs, (program) => {
        let chain = firstChain(config('first'), 'e')
        for (const [i, [kind, n]] of program.entries()) {
          const edited = apply(chain, kind, n, `e${i}`)
          if (edited.kind === 'edited') chain = edited.chain
        }
        expect(decodeChain(encodeChain(chain))).toEqual(chain)
      }),
    )
    const golden = readFileSync(new URL('../../../testdata/log/chain.json', import.meta.url), 'utf8').trim()
    expect(Buffer.from(encodeChain(decodeChain(Buffer.from(golden)))).toString()).toBe(golden)
  })

  it('is refused when damaged or of a newer format, never half understood', () => {
    const chain = firstChain(config('a'), 'e')
    const good = JSON.parse(Buffer.from(encodeChain(chain)).toString())
    const code = (stored: unknown) => {
      try {
        decodeChain(Buffer.from(typeof stored === 'string' ? stored : JSON.stringify(stored)))
        return 'accepted'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(code(good)).toBe('accepted')
    expect(code({ ...good, format: 2, repairs: [{ at: 3, entry: 9 }] })).toBe('accepted')
    expect(code({ ...good, format: 3 })).toBe('FORMAT')
    const damaged = [
      'no json',
      '[]',
      {},
      { ...good, version: 0 },
      { ...good, edits: [] },
      { ...good, segments: [] },
      { ...good, segments: [{ start: 5, end: 4, config: config('a') }] },
      {
        ...good,
        segments: [
          { start: 0, end: 4, config: config('a') },
          { start: 5, config: config('b') },
        ],
      },
      {
        ...good,
        segments: [
          { start: 0, end: 4, config: config('a') },
          { start: 4, config: config('a') },
        ],
      },
      { ...good, segments: [{ start: 0, config: { kind: 'x', params: { a: [] }, nonce: 'a' } }] },
      { ...good, voided: [3, 2] },
      { ...good, voided: ['3'] },
      { ...good, format: 2 },
      { ...good, format: 2, repairs: [{ at: 3, entry: 3 }] },
      { ...good, format: 2, repairs: [{ at: -1, entry: 3 }] },
      {
        ...good,
        format: 2,
        repairs: [
          { at: 3, entry: 9 },
          { at: 4, entry: 9 },
        ],
      },
    ]
    for (const stored of damaged) expect(code(stored), JSON.stringify(stored)).toBe('CORRUPT')
  })
})

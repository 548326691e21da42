import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { controlEntry } from '../../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../engine/entry-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { decodeEditHeader, type EditRequest, encodeEditHeader } from './edit-codec.ts'

const signature = { who: 'ann@ops', why: 'too long', wallMs: 1_700_000_000_000 }

const REQUESTS: readonly (readonly [string, EditRequest])[] = [
  [
    'brain-doctor-edit',
    {
      ...signature,
      forced: true,
      repairs: undefined,
      voids: false,
      edits: [
        { key: 'zelos\x00n1/a', old: Buffer.from('01ff', 'hex'), value: Buffer.from('02', 'hex') },
        { key: 'zelos\x00\xff', old: undefined, value: Buffer.alloc(0) },
        { key: 'gone', old: Buffer.alloc(0), value: undefined },
      ],
    },
  ],
  ['brain-doctor-void', { ...signature, forced: false, repairs: 70_000 as LogPos, voids: true, edits: [] }],
]

describe("BrainDoctor's header", () => {
  it.each(REQUESTS)('of %s is written as the stored format has it, for ever', (name, request) => {
    const bytes = encodeEntry(controlEntry('brain-doctor', encodeEditHeader(request), true))
    expect(bytes.toString('hex')).toBe(readGolden(`entries/${name}.hex`))
  })

  it.each(REQUESTS)('of %s is read from the stored format', (name, request) => {
    const entry = decodeEntry(Buffer.from(readGolden(`entries/${name}.hex`), 'hex'))
    expect(decodeEditHeader(entry.headers.get('brain-doctor')?.bytes as Uint8Array)).toEqual(request)
  })

  it('is refused when it is of a newer format, damaged, or too long', () => {
    const good = encodeEditHeader(REQUESTS[1]?.[1] as EditRequest)
    expect(() => decodeEditHeader(Buffer.from([17, 1]))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    expect(() => decodeEditHeader(Buffer.from([16, 2]))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    for (const bytes of [Buffer.from([16, 1, 8]), good.subarray(0, -1), Buffer.concat([good, Buffer.of(0)])]) {
      expect(() => decodeEditHeader(bytes)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
  })
})

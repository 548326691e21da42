import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import type { LogPos } from '../../log/position.ts'
import type { LogEntry } from '../../log/shared-log.ts'
import {
  type BackupAbout,
  decodeAbout,
  decodeManifest,
  decodePart,
  decodeSegment,
  encodeAbout,
  encodeManifest,
  PartBuilder,
  SegmentBuilder,
  type SnapshotManifest,
  type SnapshotPart,
} from './backup-codec.ts'
import { BackupNames, segmentOf, snapshotOf } from './backup-names.ts'

const HISTORY = '0123456789abcdef0123456789abcdef'
const at = (position: number): LogPos => position as LogPos
const entry = (position: number, text: string, more: Partial<LogEntry> = {}): LogEntry => ({
  pos: at(position),
  bytes: Buffer.from(text),
  voided: false,
  ...more,
})

const ABOUT: BackupAbout = {
  clusterId: 'c'.repeat(32),
  databaseId: 'd'.repeat(32),
  historyId: HISTORY,
  database: 'zelos',
  beganMs: 1_790_000_000_000,
  restored: { historyId: 'e'.repeat(32), position: at(70_000) },
}
const ENTRIES = [
  entry(100, 'one'),
  entry(101, '', { voided: true }),
  entry(105, 'two', { repairs: [entry(110, 'three'), entry(108, 'four')] }),
]
const PART: SnapshotPart = {
  historyId: HISTORY,
  cursor: at(300),
  number: 2,
  rows: [
    ['zelos\x00a\xff', Buffer.from([1, 2, 3])],
    ['zelos\x00b', Buffer.alloc(0)],
  ],
}
const MANIFEST: SnapshotManifest = {
  historyId: HISTORY,
  cursor: at(300),
  wallMs: 1_790_000_000_001,
  parts: 3,
  partBytes: 4_000_000,
  rows: 70_000,
  bytes: 9_000_000,
  levels: new Map([
    ['base', 0],
    ['zeta', 3],
  ]),
  digests: new Map([['zelos', 'f'.repeat(32)]]),
  serverId: '3f9a2c',
}

function segment(): Uint8Array {
  const builder = new SegmentBuilder(at(97))
  builder.add(ENTRIES.slice(0, 2), ({ pos }) => 1_790_000_000_000 + pos)
  const first = Buffer.from(builder.piece())
  builder.add(ENTRIES.slice(2), ({ pos }) => 1_790_000_000_000 + pos)
  const second = Buffer.from(builder.piece())
  expect(builder.bytes).toBe(first.length + second.length)
  return Buffer.concat([builder.head(HISTORY, at(120)), first, second])
}

function part(): Uint8Array {
  const builder = new PartBuilder()
  const pieces = PART.rows.map((row) => {
    builder.add(row)
    return Buffer.from(builder.piece())
  })
  return Buffer.concat([builder.head(PART), ...pieces])
}

describe('what is in the blobs of a backup', () => {
  const written = {
    about: encodeAbout(ABOUT),
    segment: segment(),
    part: part(),
    manifest: encodeManifest(MANIFEST),
  }

  it.each(Object.entries(written))('has as %s the stored format, for ever', (name, bytes) => {
    const golden = name === 'manifest' ? 'manifest-2' : name
    expect(Buffer.from(bytes).toString('hex')).toBe(readGolden(`backups/${golden}.hex`))
  })

  it('is read as it was written', () => {
    expect(decodeAbout(written.about, 'x')).toEqual(ABOUT)
    expect(decodePart(written.part, 'x')).toEqual(PART)
    expect(decodeManifest(written.manifest, 'x')).toEqual(MANIFEST)
    // Of the first format, whose parts have another name.
    const first = decodeManifest(Buffer.from(readGolden('backups/manifest.hex'), 'hex'), 'x')
    expect(first).toEqual({ ...MANIFEST, partBytes: undefined })
    const read = decodeSegment(written.segment, 'x')
    expect(read).toEqual({
      historyId: HISTORY,
      from: 97,
      to: 120,
      firstMs: 1_790_000_000_100,
      lastMs: 1_790_000_000_105,
      entries: ENTRIES,
    })
  })

  it('is refused when it is damaged, of another kind, or of a newer version', () => {
    const reads = { about: decodeAbout, segment: decodeSegment, part: decodePart, manifest: decodeManifest }
    for (const [name, bytes] of Object.entries(written)) {
      const read = reads[name as keyof typeof reads]
      expect(() => read(bytes.subarray(0, -1), 'x')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      expect(() => read(Buffer.from([0, 1]), 'x')).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      expect(() => read(Buffer.from([bytes[0] as number, 9]), 'x')).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    }
  })

  it('is named so that the names say what can be restored, in the order of positions', () => {
    const names = new BackupNames('zelos', HISTORY)
    const name = names.segment({ from: at(97), to: at(120) })
    expect(name).toBe(`zelos/${HISTORY}/log/0000000000000097-0000000000000120.segment`)
    expect(segmentOf(name)).toEqual({ from: 97, to: 120 })
    const parts = [4_000, undefined].map((partBytes) => names.part({ cursor: at(300), partBytes }, 2))
    expect(parts.map((part) => part.split('/').at(-1))).toEqual(['00000002-4000.part', '00000002.part'])
    for (const part of parts) expect(snapshotOf(part)).toEqual({ cursor: 300, complete: false })
    expect(snapshotOf(names.manifest(at(300)))).toEqual({ cursor: 300, complete: true })
    expect(segmentOf(names.manifest(at(300)))).toBeUndefined()
    expect(names.manifest(at(300)) > names.part({ cursor: at(300), partBytes: 1 }, 99)).toBe(true)
  })
})

import { describe, expect, it } from 'vitest'
import { CompressedEnvelope } from '../../blobs/envelope.ts'
import { MemoryBlobStore } from '../../blobs/memory-blob-store.ts'
import { encodeAbout, encodeManifest, PartBuilder, SegmentBuilder } from '../../engines/log-backup/backup-codec.ts'
import { BackupNames } from '../../engines/log-backup/backup-names.ts'
import type { LogPos } from '../../log/position.ts'
import { SeededRandom } from '../../sim/seeded-random.ts'
import { listHistories } from './backup-catalog.ts'
import { type GivenNumber, givenOutUpTo, type KnownNumber } from './given-out.ts'

const UNSEEN = 2 ** 38
const idOf = (digit: string): string => digit.repeat(32)
const at = (position: number): LogPos => position as LogPos
const NUMBER: GivenNumber = {
  key: 'keys\x00n',
  read: (row) => (row === undefined ? 0 : Number(Buffer.from(row).toString())),
}
const ENTRY_BYTES = 100

/** A backup in memory. */
function withBackup() {
  const store = new MemoryBlobStore()
  const envelope = new CompressedEnvelope({ random: new SeededRandom(1) })
  const put = async (name: string, bytes: Uint8Array): Promise<void> =>
    store.put(name, await envelope.wrap(name, bytes))
  const namesOf = (digit: string): BackupNames => new BackupNames('keys', idOf(digit))
  /** With a segment for each 10 positions of an entry each. */
  const history = async (digit: string, from: number, to: number): Promise<void> => {
    const historyId = idOf(digit)
    const names = namesOf(digit)
    const ids = { clusterId: idOf('c'), databaseId: idOf('d'), historyId, database: 'keys' }
    await put(names.about, encodeAbout({ ...ids, beganMs: 1 }))
    for (let first = from; first < to; first += 10) {
      const builder = new SegmentBuilder(at(first))
      const bytes = Buffer.alloc(ENTRY_BYTES)
      builder.add(
        [...Array(10).keys()].map((i) => ({ pos: at(first + i), bytes, voided: false })),
        () => 1,
      )
      const entries = builder.piece()
      const range = { from: at(first), to: at(first + 10) }
      await put(names.segment(range), Buffer.concat([builder.head(historyId, range.to), entries]))
    }
  }
  /** In which the number is in one of many parts. */
  const snapshot = async (digit: string, cursor: number, number: number | undefined): Promise<void> => {
    const keys = Array.from({ length: 40 }, (_, i) => `keys\x00${String.fromCharCode(0x60 + i)}`)
    const rows = keys
      .filter((key) => key !== NUMBER.key || number !== undefined)
      .map((key) => [key, Buffer.from(key === NUMBER.key ? String(number) : 'x')] as const)
    const head = { historyId: idOf(digit), cursor: at(cursor) }
    const parts = Math.ceil(rows.length / 3)
    const rest = { wallMs: 1, partBytes: 9, bytes: 1, levels: new Map(), digests: new Map(), serverId: 'a' }
    const names = namesOf(digit)
    for (let part = 0; part < parts; part++) {
      const builder = new PartBuilder()
      for (const row of rows.slice(part * 3, part * 3 + 3)) builder.add(row)
      const content = Buffer.concat([builder.head({ ...head, number: part }), builder.piece()])
      await put(names.part({ cursor: at(cursor), partBytes: 9 }, part), content)
    }
    await put(names.manifest(at(cursor)), encodeManifest({ ...head, ...rest, parts, rows: rows.length }))
  }
  const upTo = async (restored?: KnownNumber): Promise<number> => {
    const blobs = { store, envelope }
    return await givenOutUpTo(blobs, await listHistories(blobs, 'keys'), NUMBER, restored)
  }
  const known = (digit: string, position: number, number: number): KnownNumber => {
    return { historyId: idOf(digit), at: at(position), number }
  }
  return { store, namesOf, history, snapshot, upTo, known }
}

/** Of segments: what is between is what an update that is no longer than a byte could have taken. */
function between(value: number, low: number, segments: number): void {
  expect(value).toBeGreaterThanOrEqual(low + segments * 10 * ENTRY_BYTES)
  expect(value).toBeLessThan(low + segments * (10 * ENTRY_BYTES + 200) + 1)
}

describe('what was given out before a restore', () => {
  it('is what is restored, and what the lost part of the log may hold, and some more for what was not backed up', async () => {
    const { history, known, snapshot, upTo } = withBackup()
    await history('1', 0, 100)
    await snapshot('1', 20, 5_000)
    expect(await upTo(known('1', 100, 7_000))).toBe(7_000 + UNSEEN)
    between(await upTo(known('1', 40, 6_000)), 6_000 + UNSEEN, 6)
  })

  it('is told by the newest snapshot, wherever the row is in it, and however long ago the restored point is', async () => {
    const { history, known, snapshot, upTo } = withBackup()
    await history('1', 500, 600)
    await snapshot('1', 20, 1_000)
    await snapshot('1', 580, 9_000_000)
    between(await upTo(known('1', 30, 1_500)), 9_000_000 + UNSEEN, 2)
    between(await upTo(undefined), 9_000_000 + UNSEEN, 2)
    await snapshot('1', 600, undefined)
    expect(await upTo(known('1', 30, 1_500))).toBe(1_500 + UNSEEN)
  })

  it('is above every other history of the backup, also of one whose old segments are gone, and of one that has just begun', async () => {
    const { history, known, snapshot, upTo } = withBackup()
    await history('1', 0, 100)
    await snapshot('1', 20, 5_000)
    await history('2', 900, 1000)
    await snapshot('2', 900, 5 * UNSEEN)
    between(await upTo(known('1', 100, 7_000)), 6 * UNSEEN, 10)
    await history('3', 50, 100)
    between(await upTo(known('1', 100, 7_000)), 7 * UNSEEN, 15)
  })

  it('does not depend on what is damaged, which counts as much as it could have been', async () => {
    const { history, known, namesOf, snapshot, store, upTo } = withBackup()
    await history('1', 0, 100)
    await snapshot('1', 20, 5_000)
    await snapshot('1', 90, 6_000)
    const whole = await upTo(known('1', 50, 5_500))
    for (let part = 0; part < 20; part++) store.blobs.delete(namesOf('1').part({ cursor: at(90), partBytes: 9 }, part))
    const without = await upTo(known('1', 50, 5_500))
    between(without, 5_500 + UNSEEN, 5)
    expect(whole).toBeGreaterThan(6_000 + UNSEEN)
    store.blobs.set(namesOf('1').segment({ from: at(90), to: at(100) }), Buffer.alloc(100))
    expect(await upTo(known('1', 50, 5_500))).toBeGreaterThan(without + 1_000_000)
  })

  it('leaves room for ten thousand restores', async () => {
    const { history, known, snapshot, upTo } = withBackup()
    await history('1', 0, 100)
    await snapshot('1', 20, 5_000)
    let number = 5_000
    for (let restores = 1; restores <= 100; restores++) number = await upTo(known('1', 20, number))
    expect((2 ** 53 / number) * 100).toBeGreaterThan(10_000)
  })
})

import { describe, expect, it } from 'vitest'
import { CompressedEnvelope } from '../../blobs/envelope.ts'
import { MemoryBlobStore } from '../../blobs/memory-blob-store.ts'
import { entryOf } from '../../engine/entry.ts'
import { encodeStamped } from '../../engine/entry-codec.ts'
import { BASE, Stamper } from '../../engines/base-engine/proposal-stamp.ts'
import { encodeAbout, encodeManifest, SegmentBuilder } from '../../engines/log-backup/backup-codec.ts'
import { BackupNames } from '../../engines/log-backup/backup-names.ts'
import type { LogPos } from '../../log/position.ts'
import type { LogEntry } from '../../log/shared-log.ts'
import { SeededRandom } from '../../sim/seeded-random.ts'
import { wallMsOf } from '../database-copy-source.ts'
import { chooseHistory } from './backup-catalog.ts'
import { positionOf } from './restore-point.ts'
import { verifyHistory } from './verify-backup.ts'

const DATABASE = 'keys'
const at = (position: number): LogPos => position as LogPos
const idOf = (digit: string): string => digit.repeat(32)

/** An entry that was proposed at ten times its position. */
function entryAt(position: number): LogEntry {
  const stamp = new Stamper('a', 1).stamp(position, position * 10)
  return { pos: at(position), bytes: encodeStamped(entryOf(Buffer.from('x')), BASE, stamp), voided: false }
}

/** Backups in memory: what a test puts there. */
function withBackups() {
  const store = new MemoryBlobStore()
  const envelope = new CompressedEnvelope({ random: new SeededRandom(1) })
  const put = async (name: string, bytes: Uint8Array): Promise<void> =>
    store.put(name, await envelope.wrap(name, bytes))
  const about = async (historyId: string): Promise<BackupNames> => {
    const names = new BackupNames(DATABASE, historyId)
    const ids = { clusterId: idOf('c'), databaseId: idOf('d'), historyId }
    await put(names.about, encodeAbout({ ...ids, database: DATABASE, beganMs: 1 }))
    return names
  }
  const segment = async (names: BackupNames, historyId: string, entries: readonly LogEntry[]): Promise<void> => {
    const [from, to] = [entries[0]?.pos ?? at(0), at((entries.at(-1)?.pos ?? 0) + 1)]
    const builder = new SegmentBuilder(from)
    builder.add(entries, wallMsOf)
    const entriesOf = builder.piece()
    await put(names.segment({ from, to }), Buffer.concat([builder.head(historyId, to), entriesOf]))
  }
  const snapshot = async (names: BackupNames, historyId: string, cursor: number): Promise<void> => {
    const counts = { parts: 0, partBytes: 1, rows: 0, bytes: 0, levels: new Map(), digests: new Map(), serverId: 'a' }
    await put(
      names.manifest(at(cursor)),
      encodeManifest({ historyId, cursor: at(cursor), wallMs: cursor * 10, ...counts }),
    )
  }
  return { blobs: { store, envelope }, about, segment, snapshot }
}

const H = idOf('a')
const range = (from: number, to: number): LogEntry[] => Array.from({ length: to - from }, (_, i) => entryAt(from + i))

describe('the point that a restore goes to', () => {
  it('is the last entry before the time, and none where what came next is missing', async () => {
    const { about, blobs, segment, snapshot } = withBackups()
    const names = await about(H)
    await segment(names, H, range(10, 20))
    await segment(names, H, range(30, 40))
    await snapshot(names, H, 10)
    await snapshot(names, H, 32)
    const history = await chooseHistory(blobs, DATABASE, undefined)
    const to = (wallMs: number): Promise<LogPos> => positionOf({ kind: 'time', wallMs }, history, blobs)
    expect([await to(100), await to(155), await to(320), await to(365), await to(9_999)]).toEqual([10, 15, 32, 36, 39])
    // Given up: when the entries from 20 on were proposed, nobody can tell.
    for (const wallMs of [195, 250, 319]) {
      await expect(to(wallMs)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: expect.stringMatching(/20 to 29.*19/),
      })
    }
  })

  it('passes an entry that was voided because nobody could read it, as backup and verification do', async () => {
    const { about, blobs, segment, snapshot } = withBackups()
    const names = await about(H)
    const poisoned: LogEntry = { pos: at(15), bytes: Buffer.from('no entry'), voided: true }
    await segment(names, H, [...range(10, 15), poisoned])
    await segment(names, H, [...range(16, 20)])
    await snapshot(names, H, 10)
    const history = await chooseHistory(blobs, DATABASE, undefined)
    expect(await positionOf({ kind: 'time', wallMs: 175 }, history, blobs)).toBe(17)
    expect(await verifyHistory(blobs, history)).toMatchObject({ entries: 10, problems: [] })
  })

  it('verification takes for no damage what is let go of meanwhile, but a hole, and what is of another history', async () => {
    const { about, blobs, segment, snapshot } = withBackups()
    const names = await about(H)
    for (const from of [10, 20, 30]) await segment(names, H, range(from, from + 10))
    await snapshot(names, H, 10)
    await snapshot(names, H, 20)
    const history = await chooseHistory(blobs, DATABASE, undefined)
    await blobs.store.delete(names.manifest(at(10)))
    await blobs.store.delete(names.segment({ from: at(10), to: at(20) }))
    const found = await verifyHistory(blobs, history)
    expect(found).toMatchObject({ problems: [], segments: 2, snapshots: 1, restorable: [{ first: 19, last: 39 }] })
    await blobs.store.delete(names.segment({ from: at(20), to: at(30) }))
    await segment(names, H, range(10, 20))
    expect((await verifyHistory(blobs, history)).problems).toEqual(['positions 20 to 29 are missing'])
    await segment(names, idOf('b'), range(20, 30))
    expect((await verifyHistory(blobs, history)).problems).toEqual([expect.stringContaining(`of history ${idOf('b')}`)])
  })

  it('is of the one history that the given digits begin', async () => {
    const { about, blobs } = withBackups()
    await about(`12${'0'.repeat(30)}`)
    await about(`13${'0'.repeat(30)}`)
    expect((await chooseHistory(blobs, DATABASE, '13')).about.historyId).toBe(`13${'0'.repeat(30)}`)
    await expect(chooseHistory(blobs, DATABASE, '1')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(chooseHistory(blobs, DATABASE, '2')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

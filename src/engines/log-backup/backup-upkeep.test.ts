import { describe, expect, it } from 'vitest'
import { MemoryBlobStore } from '../../blobs/memory-blob-store.ts'
import type { LogPos } from '../../log/position.ts'
import { BackupNames, segmentOf, snapshotOf } from './backup-names.ts'
import type { KeptSnapshot } from './backup-rows.ts'
import type { BackupState } from './backup-state.ts'
import { dueForgetting, sweepForgotten } from './backup-upkeep.ts'
import { LOG_BACKUP_OPTIONS } from './log-backup-options.ts'

const at = (position: number): LogPos => position as LogPos
const names = new BackupNames('zelos', '0123456789abcdef0123456789abcdef')
const { signal } = new AbortController()
const DAY_MS = 86_400_000
const FAR_MS = 1_000 * DAY_MS

/** Snapshots a day apart, at positions 100, 200, ..., with the times that are given in days. */
function stateWith(...days: readonly number[]): BackupState {
  const snapshots = days.map(
    (day, i): KeptSnapshot => ({ cursor: at(100 * (i + 1)), wallMs: day * DAY_MS, rows: 1, bytes: 1 }),
  )
  return { first: at(10), snapshots } as unknown as BackupState
}

/** Two segments and two parts per snapshot, three snapshots. */
async function filled(): Promise<MemoryBlobStore> {
  const store = new MemoryBlobStore()
  for (const cursor of [100, 200, 300]) {
    for (const from of [cursor, cursor + 50]) {
      await store.put(names.segment({ from: at(from), to: at(from + 50) }), Buffer.from('s'))
    }
    for (const number of [0, 1])
      await store.put(names.part({ cursor: at(cursor), partBytes: 9 }, number), Buffer.from('p'))
    await store.put(names.manifest(at(cursor)), Buffer.from('m'))
  }
  return store
}

describe('forgetting old backups', () => {
  const options = { ...LOG_BACKUP_OPTIONS, keepMs: 3 * DAY_MS }

  it('keeps every point of the time that is to be kept', () => {
    const state = stateWith(0, 1, 2, 3, 4, 5, 6)
    expect(dueForgetting(state, options, 6 * DAY_MS)).toBe(200)
    expect(dueForgetting(state, options, 4 * DAY_MS)).toBe(100)
    expect(dueForgetting(stateWith(0, 1, 2, 3, 4, 5, 6, 7), options, 7 * DAY_MS)).toBe(300)
    expect(dueForgetting(stateWith(0, 1), options, 1.5 * DAY_MS)).toBeUndefined()
  })

  it('is moved by no single clock that is wrong', () => {
    // What is at most three days old on day 6 begins with the snapshot of day 3.
    const right = 400
    // Of the server that asks: too late, it changes nothing; too early, more is kept.
    expect(dueForgetting(stateWith(0, 1, 2, 3, 4, 5, 6), options, FAR_MS)).toBe(200)
    expect(dueForgetting(stateWith(0, 1, 2, 3, 4, 5, 6), options, 0)).toBeUndefined()
    // Of one that has made a snapshot, any of them.
    for (let wrong = 0; wrong < 7; wrong++) {
      for (const day of [1_000, -1_000]) {
        const days = [0, 1, 2, 3, 4, 5, 6].map((good, i) => (i === wrong ? day : good))
        const due = dueForgetting(stateWith(...days), options, 6 * DAY_MS) ?? 0
        expect(due, `snapshot ${wrong} says ${day}`).toBeLessThanOrEqual(right)
      }
    }
  })

  it('leaves two snapshots however old they are, and so always something that can be restored', () => {
    for (let count = 1; count <= 6; count++) {
      const state = stateWith(...Array.from({ length: count }, (_, i) => i))
      const below = dueForgetting(state, options, FAR_MS) ?? 0
      expect(state.snapshots.filter(({ cursor }) => cursor >= below).length).toBeGreaterThanOrEqual(Math.min(2, count))
    }
  })

  it('leaves no snapshot that looks complete and is not, wherever it is cut off, and all is gone when it is done', async () => {
    for (let deletes = 0; ; deletes++) {
      const store = await filled()
      const remove = store.delete.bind(store)
      let left = deletes
      store.delete = (name) => (left-- > 0 ? remove(name) : Promise.reject(new Error('killed')))
      const whole = await sweepForgotten(store, names, at(300), signal).then(
        () => true,
        () => false,
      )
      for (const cursor of [100, 200, 300].filter((one) => store.blobs.has(names.manifest(at(one))))) {
        for (const number of [0, 1])
          expect(store.blobs.has(names.part({ cursor: at(cursor), partBytes: 9 }, number))).toBe(true)
        expect(store.blobs.has(names.segment({ from: at(cursor), to: at(cursor + 50) }))).toBe(true)
      }
      store.delete = remove
      await sweepForgotten(store, names, at(300), signal)
      const positions = [...store.blobs.keys()].map((name) => segmentOf(name)?.from ?? snapshotOf(name)?.cursor ?? 0)
      expect(Math.min(...positions)).toBe(300)
      expect(store.blobs.size).toBe(5)
      if (whole) break
    }
  })
})

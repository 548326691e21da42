import { describe, expect, it } from 'vitest'
import { BackupNames } from '../../engines/log-backup/backup-names.ts'
import type { LogPos } from '../../log/position.ts'
import type { BackupHistory } from './backup-catalog.ts'
import { givenOutBehind } from './given-out.ts'

const idOf = (digit: string): string => digit.repeat(32)
const at = (position: number): LogPos => position as LogPos

/** Of segments of 100 positions and 1000 bytes each. */
function history(
  digit: string,
  from: number,
  to: number,
  restored?: { digit: string; position: number },
): BackupHistory {
  const historyId = idOf(digit)
  const segments = Array.from({ length: (to - from) / 100 }, (_, i) => {
    return { from: at(from + i * 100), to: at(from + i * 100 + 100), name: `${i}`, bytes: 1000 }
  })
  const ids = { clusterId: idOf('c'), databaseId: idOf('d'), historyId, database: 'keys', beganMs: 1 }
  const source = restored && { historyId: idOf(restored.digit), position: at(restored.position) }
  const about = { ...ids, restored: source }
  return { about, names: new BackupNames('keys', historyId), segments, snapshots: [], bytes: segments.length * 1000 }
}

/** The highest number that a history of so many updates, one a position, gives out if its content had `base` of them. */
const newest = (base: number, behind: number, updates: number): number => base + behind + updates

describe('what was given out behind a restored point', () => {
  it('is what the lost part of the log may hold, and some more for what was not backed up', () => {
    const first = history('1', 0, 1000)
    expect(givenOutBehind([first], first, at(1000))).toBe(2 ** 32)
    expect(givenOutBehind([first], first, at(900))).toBe(2 ** 32 + 1000 * 1024)
  })

  it('is more where somebody has restored from there before, to an earlier or a later point', () => {
    const first = history('1', 0, 1000)
    for (const [earlier, later] of [
      [100, 1000],
      [1000, 100],
      [500, 500],
    ] as const) {
      const before = newest(earlier, givenOutBehind([first], first, at(earlier)), 3000)
      const second = history('2', earlier, earlier + 2000, { digit: '1', position: earlier - 1 })
      expect(later + givenOutBehind([first, second], first, at(later))).toBeGreaterThan(before)
    }
  })

  it('is more also where that one was restored from in turn', () => {
    const first = history('1', 0, 1000)
    const second = history('2', 100, 1100, { digit: '1', position: 99 })
    const secondBegins = 100 + givenOutBehind([first], first, at(100))
    const before = newest(secondBegins + 500, givenOutBehind([first, second], second, at(600)), 1500)
    const third = history('3', 600, 1600, { digit: '2', position: 599 })
    for (const later of [50, 100, 1000]) {
      expect(later + givenOutBehind([first, second, third], first, at(later))).toBeGreaterThan(before)
    }
  })

  it('is more also where another one was restored from where this one comes from', () => {
    const first = history('1', 0, 1000)
    const second = history('2', 900, 1900, { digit: '1', position: 899 })
    const secondBegins = 900 + givenOutBehind([first], first, at(900))
    const third = history('3', 100, 1100, { digit: '1', position: 99 })
    const before = newest(100, givenOutBehind([first, second], first, at(100)), 1500)
    for (const tail of [1000, 1900]) {
      const again = secondBegins + (tail - 900) + givenOutBehind([first, second, third], second, at(tail))
      expect(again).toBeGreaterThan(before)
    }
  })

  it('ends where histories claim to be restored from each other', () => {
    const one = history('1', 0, 100, { digit: '2', position: 50 })
    const other = history('2', 0, 100, { digit: '1', position: 50 })
    expect(givenOutBehind([one, other], one, at(100))).toBeGreaterThan(2 ** 33)
  })
})

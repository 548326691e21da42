import { expect, it } from 'vitest'
import type { LogPos } from '../../log/position.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { Backlog } from './backlog.ts'
import type { BackupState } from './backup-state.ts'
import { LOG_BACKUP_OPTIONS } from './log-backup-options.ts'

const at = (position: number): LogPos => position as LogPos

/** A server at position 0; entries of 1 kB. */
function withBacklog() {
  const time = new ManualTime((callback) => callback())
  const backlog = new Backlog({ ...LOG_BACKUP_OPTIONS, segmentBytes: 100_000, intervalMs: 1_000 }, time)
  backlog.begin(at(0))
  let [position, claimedTo] = [0, 0]
  const apply = (entries: number, bytes = 1_000): void => {
    for (let i = 0; i < entries; i++) backlog.advanced(at(position++), bytes, false)
  }
  const claim = (to: number): void => {
    claimedTo = to
    backlog.claimed(at(to))
  }
  const isDue = (): boolean => backlog.segmentDue({ claimedTo, claims: [] } as unknown as BackupState)
  return { backlog, time, apply, claim, isDue }
}

it('what others have claimed counts no more', () => {
  const { apply, backlog, claim, isDue } = withBacklog()
  apply(99)
  expect([isDue(), backlog.isLarge]).toEqual([false, false])
  apply(1)
  expect([isDue(), backlog.isLarge]).toEqual([true, true])
  claim(50)
  expect([isDue(), backlog.isLarge]).toEqual([false, false])
  apply(49)
  expect(isDue()).toBe(false)
  // To within a 64th of a segment, more rather than less.
  apply(2)
  expect(isDue()).toBe(true)
  claim(151)
  expect(isDue()).toBe(false)
  apply(99)
  expect(isDue()).toBe(false)
  apply(1)
  expect(isDue()).toBe(true)
})

it('is due when what nobody has claimed has waited, of what was claimed in part from then on', () => {
  const { apply, claim, isDue, time } = withBacklog()
  const waits = (ms: number): void => {
    time.advance(ms - 1)
    expect(isDue()).toBe(false)
    time.advance(1)
    expect(isDue()).toBe(true)
  }
  apply(10)
  time.advance(500)
  apply(5)
  expect(isDue()).toBe(false)
  claim(10)
  waits(1_000)
  claim(15)
  time.advance(10_000)
  expect(isDue()).toBe(false)
  // These are looked at as one.
  apply(5, 100)
  time.advance(999)
  claim(18)
  waits(1_000)
})

it('a backlog of any length takes a bounded place, and is known less exactly', () => {
  const { apply, backlog, claim } = withBacklog()
  apply(1_000_000)
  expect(Reflect.get(backlog, 'stretches').length).toBeLessThanOrEqual(1024)
  claim(999_999)
  expect(Reflect.get(backlog, 'unclaimedBytes')).toBeLessThanOrEqual(5_000_000)
  claim(1_000_000)
  expect(Reflect.get(backlog, 'unclaimedBytes')).toBe(0)
})

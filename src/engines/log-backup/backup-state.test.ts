import { describe, expect, it } from 'vitest'
import { MapTx } from '../../../test/support/view-cluster.ts'
import type { LogPos } from '../../log/position.ts'
import type { BackupMessage } from './backup-message.ts'
import { BackupState, CLAIMS_MAX, GAPS_MAX } from './backup-state.ts'
import { dueForgetting } from './backup-upkeep.ts'
import { LOG_BACKUP_OPTIONS } from './log-backup-options.ts'

const PREFIX = 'log-backup\x00'
const HISTORY = '0123456789abcdef0123456789abcdef'
const at = (position: number): LogPos => position as LogPos

type Said = BackupMessage extends infer M ? (M extends BackupMessage ? Omit<M, 'serverId'> : never) : never

function begun() {
  const tx = new MapTx()
  const state = new BackupState(PREFIX)
  let position = 10
  const say = (serverId: string, message: Said): string => {
    position++
    const outcome = state.apply(tx, { ...message, serverId } as BackupMessage, at(position))
    // What memory holds is what a restart would read.
    const loaded = new BackupState(PREFIX)
    loaded.load(tx)
    expect(loaded).toEqual(state)
    return outcome.kind
  }
  expect(say('a', { kind: 'begin', historyId: HISTORY, wallMs: 1000 })).toBe('done')
  const upTo = (to: number): void => {
    position = Math.max(position, to)
  }
  const claim = (serverId: string, from: number, to: number): LogPos => {
    upTo(to)
    expect(say(serverId, { kind: 'claim', from: at(from), to: at(to) })).toBe('done')
    return at(position)
  }
  const kept = (serverId: string, cursor: number, wallMs: number): string => {
    upTo(cursor)
    expect(say(serverId, { kind: 'snapshot' })).toBe('done')
    return say(serverId, { kind: 'kept', claim: at(position), cursor: at(cursor), wallMs, rows: 1, bytes: 1 })
  }
  return { tx, state, say, claim, kept, now: () => position }
}

describe('the state of backups', () => {
  it('begins where it is told to, once per history', () => {
    const { say, state } = begun()
    expect(state).toMatchObject({ end: 11, first: 11 })
    expect(say('b', { kind: 'begin', historyId: HISTORY, wallMs: 2000 })).toBe('void')
    expect(say('b', { kind: 'begin', historyId: 'f'.repeat(32), wallMs: 2000 })).toBe('done')
    expect(state).toMatchObject({ end: 13, first: 13 })
  })

  it('gives each range to one server, without holes, and counts only what is contiguous', () => {
    const { claim, say, state } = begun()
    const first = claim('a', 11, 20)
    expect(say('b', { kind: 'claim', from: at(11), to: at(20) })).toBe('void')
    expect(say('b', { kind: 'claim', from: at(20), to: at(9_999) })).toBe('void')
    const second = claim('b', 20, 30)
    expect(say('b', { kind: 'done', claim: second, bytes: 5 })).toBe('done')
    expect(state.end).toBe(11)
    expect(say('a', { kind: 'done', claim: first, bytes: 7 })).toBe('done')
    expect(state).toMatchObject({ end: 30, segmentBytes: 12, claims: [] })
  })

  it('lets a silent claim be taken over, and takes nothing more from who lost it', () => {
    const { claim, say, state, now } = begun()
    const first = claim('a', 11, 20)
    expect(say('a', { kind: 'progress', claim: first })).toBe('done')
    const heard = at(now())
    expect(say('b', { kind: 'takeover', claim: first, lastHeard: first })).toBe('void')
    expect(say('b', { kind: 'takeover', claim: first, lastHeard: heard })).toBe('done')
    const taken = at(now())
    expect(say('a', { kind: 'done', claim: first, bytes: 1 })).toBe('void')
    expect(say('a', { kind: 'done', claim: taken, bytes: 1 })).toBe('void')
    expect(state.end).toBe(11)
    expect(say('b', { kind: 'done', claim: taken, bytes: 1 })).toBe('done')
    expect(say('b', { kind: 'done', claim: taken, bytes: 1 })).toBe('void')
    expect(state.end).toBe(20)
  })

  it('has one snapshot in the making, and keeps only newer ones', () => {
    const { kept, say, state } = begun()
    expect(kept('a', 50, 1000)).toBe('done')
    expect(kept('b', 50, 1000)).toBe('void')
    expect(say('a', { kind: 'snapshot' })).toBe('done')
    expect(say('b', { kind: 'snapshot' })).toBe('void')
    expect(state.snapshots).toEqual([{ cursor: 50, wallMs: 1000, rows: 1, bytes: 1 }])
  })

  it('remembers what was given up, and goes on behind it', () => {
    const { claim, say, state } = begun()
    const first = claim('a', 11, 20)
    claim('b', 20, 30)
    const skip = (from: number, to: number) =>
      say('c', { kind: 'skip', from: at(from), to: at(to), wallMs: 5, reason: 'away' })
    expect(skip(12, 25)).toBe('void')
    expect(skip(11, 25)).toBe('done')
    expect(state).toMatchObject({ end: 25, claims: [], gaps: [{ from: 11, to: 25 }] })
    expect(say('a', { kind: 'done', claim: first, bytes: 1 })).toBe('void')
    expect(skip(25, 28)).toBe('done')
    expect(state.gaps).toHaveLength(1)
    claim('a', 28, 33)
    for (let i = 0; i < GAPS_MAX + 5; i++) {
      const from = state.end
      expect(skip(from, from + 1)).toBe('done')
    }
    expect(state.gaps.length).toBeLessThanOrEqual(GAPS_MAX)
  })

  it('refuses one claim too many', () => {
    const { claim, say } = begun()
    for (let i = 0; i < CLAIMS_MAX; i++) claim('a', 11 + i, 12 + i)
    expect(say('b', { kind: 'claim', from: at(11 + CLAIMS_MAX), to: at(12 + CLAIMS_MAX) })).toBe('void')
  })

  it('forgets what no point that is to be kept needs, and nothing else', () => {
    const { kept, say, state } = begun()
    const options = { ...LOG_BACKUP_OPTIONS, keepMs: 1000, snapshotsMin: 2 }
    for (const [cursor, wallMs] of [
      [40, 1_000],
      [60, 2_000],
      [80, 3_000],
      [100, 4_000],
    ] as const) {
      expect(kept('a', cursor, wallMs)).toBe('done')
    }
    // The newest snapshot that is at least as old as what is to be kept; two stay in any case.
    expect(dueForgetting(state, options, 1_500)).toBeUndefined()
    expect(dueForgetting(state, options, 2_900)).toBeUndefined()
    expect(dueForgetting(state, { ...options, keepMs: 1 }, 99_000)).toBe(40)
    expect(dueForgetting(state, { ...options, keepMs: 0 }, 99_000)).toBeUndefined()
    expect(say('a', { kind: 'forget', below: at(70) })).toBe('void')
    expect(say('a', { kind: 'forget', below: at(80) })).toBe('done')
    expect(state.first).toBe(80)
    expect(state.snapshots.map(({ cursor }) => cursor)).toEqual([80, 100])
    expect(dueForgetting(state, options, 3_500)).toBeUndefined()
  })
})

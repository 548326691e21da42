import { describe, expect, it } from 'vitest'
import { MapTx } from '../../../test/support/view-cluster.ts'
import { CompressedEnvelope } from '../../blobs/envelope.ts'
import { MemoryBlobStore } from '../../blobs/memory-blob-store.ts'
import type { CopySource } from '../../engine/copy-source.ts'
import type { EngineContext } from '../../engine/engine-layer.ts'
import type { LogPos } from '../../log/position.ts'
import type { LogRead } from '../../log/shared-log.ts'
import { SeededRandom } from '../../sim/seeded-random.ts'
import { SYNCHRONOUS } from '../../sim/workloads/backup/hostile-blobs.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { decodeSegment } from './backup-codec.ts'
import type { BackupMessage } from './backup-message.ts'
import { BackupNames } from './backup-names.ts'
import { BackupState, SNAPSHOTS_MAX } from './backup-state.ts'
import { BackupWorker } from './backup-worker.ts'
import { LOG_BACKUP_OPTIONS, type LogBackupOptions } from './log-backup-options.ts'

const HISTORY = '0123456789abcdef0123456789abcdef'
const at = (position: number): LogPos => position as LogPos
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Given {
  readonly options?: Partial<LogBackupOptions>
  readonly freeBytes?: () => Promise<number>
}

/** One server `a` at position 1000, over a log that says what `read` says; more than `callsMax` of anything is a loop. */
function withWorker(read: (from: LogPos, to: LogPos) => LogRead, callsMax = 50, given: Given = {}) {
  const time = new ManualTime((callback) => void setImmediate(callback))
  const random = new SeededRandom(1)
  const tx = new MapTx()
  const state = new BackupState('log-backup\x00')
  let position = 10
  const apply = (message: BackupMessage) => state.apply(tx, message, at(position++))
  apply({ kind: 'begin', serverId: 'a', historyId: HISTORY, wallMs: 1 })
  let calls = 0
  const counted = <T>(value: T): T => {
    calls++
    return value
  }
  const said: BackupMessage[] = []
  const failing = new Set<string>()
  const ids = '0'.repeat(32)
  const store = new MemoryBlobStore()
  const options = { ...LOG_BACKUP_OPTIONS, keepMs: 0, intervalMs: 1, snapshotMs: 1, tickMs: 100, silentMs: 400 }
  const envelope = new CompressedEnvelope({ random, compression: SYNCHRONOUS })
  const target = { store, envelope, freeBytes: given.freeBytes }
  const worker = new BackupWorker({
    context: {
      serverId: 'a',
      clock: time,
      timers: time,
      random,
      read: () => tx,
      levels: new Map(),
      membership: { members: () => ['0', 'a'], missing: () => [] },
    } as unknown as EngineContext,
    source: {
      database: 'keys',
      identity: { clusterId: ids, databaseId: ids, historyId: HISTORY },
      readNext: async (from: LogPos, to: LogPos) => counted(read(from, to)),
      wallMsOf: () => 1,
      openView: async () => ({ view: { scan: () => [], close: () => undefined }, cursor: at(position) }),
      newDigest: () => ({ add: () => undefined, read: () => new Map() }),
    } as unknown as CopySource,
    target,
    state,
    options: { ...options, ...given.options, target },
    enabled: () => calls < callsMax,
    say: async (message) => {
      said.push(counted(message))
      await turn()
      if (failing.has(message.kind)) throw new Error('not now')
      const outcome = apply(message)
      worker.changed(message, outcome)
      return outcome
    },
  })
  const go = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      time.advance(50)
      for (let turns = 0; turns < 20; turns++) await turn()
    }
  }
  const upTo = (to: number): void => {
    position = to
  }
  return { worker, state, store, time, apply, said, failing, go, calls: () => calls, upTo }
}

describe('the worker of backups', () => {
  it('pauses where what it has claimed was trimmed, instead of asking for it for ever', async () => {
    const { apply, calls, go, state, upTo, worker } = withWorker(() => ({
      entries: [],
      next: at(900),
      trimmedTo: at(900),
    }))
    upTo(500)
    apply({ kind: 'claim', serverId: 'b', from: at(10), to: at(100) })
    apply({ kind: 'claim', serverId: 'a', from: at(100), to: at(200) })
    upTo(1000)
    worker.begin(at(1000))
    await go(300)
    expect(calls()).toBeLessThan(20)
    expect(state.end).toBe(10)
    expect(worker.trouble?.message).toMatch(/trimmed/)
    await worker.end()
  })

  it('asks for no snapshot while there is no room for one', async () => {
    const { apply, go, said, state, upTo, worker } = withWorker(() => ({ entries: [], next: at(2000) }))
    for (let i = 0; i < SNAPSHOTS_MAX; i++) {
      upTo(100 + 2 * i)
      apply({ kind: 'snapshot', serverId: 'a' })
      apply({
        kind: 'kept',
        serverId: 'a',
        claim: at(100 + 2 * i),
        cursor: at(100 + 2 * i),
        wallMs: 1,
        rows: 1,
        bytes: 1,
      })
    }
    expect(state.snapshots).toHaveLength(SNAPSHOTS_MAX)
    upTo(5000)
    worker.begin(at(5000))
    await go(300)
    expect(said.filter(({ kind }) => kind === 'snapshot')).toEqual([])
    await worker.end()
  })

  it('deletes what it has said is forgotten, also where the first member of the view has no place for backups', async () => {
    const { apply, go, said, state, store, time, upTo, worker } = withWorker(everything, 500, {
      options: { keepMs: 50_000, snapshotMs: 1e9, intervalMs: 1e9 },
    })
    const names = new BackupNames('keys', HISTORY)
    const manifests: string[] = []
    for (const [i, wallMs] of [1_000, 2_000, 100_000, 200_000, 300_000].entries()) {
      const cursor = at(100 + 10 * i)
      upTo(cursor)
      apply({ kind: 'snapshot', serverId: '0' })
      apply({ kind: 'kept', serverId: '0', claim: cursor, cursor, wallMs, rows: 1, bytes: 1 })
      manifests.push(names.manifest(cursor))
      await store.put(names.manifest(cursor), Buffer.from('x'))
    }
    upTo(500)
    const there = () => manifests.map((name) => store.blobs.has(name))
    // The times of snapshots count, and what this server has for the time.
    worker.begin(at(500))
    await go(300)
    expect(said.filter(({ kind }) => kind === 'forget')).toHaveLength(0)
    expect(there()).toEqual([true, true, true, true, true])
    time.advance(1_000_000)
    await go(300)
    expect(said.filter(({ kind }) => kind === 'forget')).toEqual([{ kind: 'forget', serverId: 'a', below: 110 }])
    expect(state.first).toBe(110)
    expect(there()).toEqual([false, true, true, true, true])
    await worker.end()
  })

  it('does not take a word that got lost in the log for uploads that fail', async () => {
    const { apply, failing, go, said, upTo, worker } = withWorker(() => ({ entries: [], next: at(10) }), 500)
    upTo(500)
    apply({ kind: 'claim', serverId: 'b', from: at(10), to: at(100) })
    upTo(1000)
    failing.add('takeover')
    worker.begin(at(1000))
    await go(1500)
    expect(said.filter(({ kind }) => kind === 'takeover')).not.toEqual([])
    failing.clear()
    apply({ kind: 'skip', serverId: 'b', from: at(10), to: at(900), wallMs: 1, reason: 'none' })
    upTo(1500)
    await go(1500)
    expect(worker.trouble?.message).not.toMatch(/takeover/)
    await worker.end()
  })

  it('takes uploads for failing no longer than until another server has made them', async () => {
    let free = 2_000
    const { apply, go, said, state, store, upTo, worker } = withWorker(everything, 5_000, {
      options: { freeBytesMin: 1_000, holdMs: 0, silentMs: 1e9, snapshotMs: 1e9, intervalMs: 60_000 },
      freeBytes: async () => free,
    })
    const asB = (message: BackupMessage): void => worker.changed(message, apply(message))
    const put = store.put.bind(store)
    upTo(500)
    worker.begin(at(500))
    await go(300)
    const claim = { kind: 'claim', serverId: 'a', from: at(10), to: at(100) } as const
    store.put = () => Promise.reject(new Error('no way there'))
    asB(claim)
    await go(300)
    expect(worker.trouble?.message).toMatch(/no way there/)
    const [held] = state.claims
    const { id, lastHeard } = held as NonNullable<typeof held>
    asB({ kind: 'takeover', serverId: 'b', claim: id, lastHeard })
    await go(2_000)
    expect(worker.trouble).toBeDefined()
    asB({ kind: 'done', serverId: 'b', claim: (state.claims[0] as NonNullable<typeof held>).id, bytes: 1 })
    expect(state.end).toBe(100)
    expect(worker.trouble).toBeUndefined()
    // So a disk that fills up is no reason to give up anything here.
    free = 10
    await go(500)
    expect(said.filter(({ kind }) => kind === 'skip')).toEqual([])
    store.put = put
    await worker.end()
  })

  it('takes a place that does not answer at all for one where uploads fail', async () => {
    let free = 2_000
    const { go, said, state, store, upTo, worker } = withWorker(everything, 50_000, {
      options: { freeBytesMin: 1_000, holdMs: 0, tickMs: 1_000, silentMs: 1e9 },
      freeBytes: async () => free,
    })
    upTo(500)
    worker.begin(at(500))
    await go(3_000)
    const put = store.put.bind(store)
    store.put = (_name, _bytes, { signal } = {}) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('ended'))))
    worker.advanced(at(500), 10, false)
    upTo(600)
    await go(100_000)
    expect(worker.trouble).toBeUndefined()
    await go(100_000)
    expect(worker.trouble?.message).toBe('segment: no answer for 180 s')
    expect(said.filter(({ kind }) => kind === 'skip')).toEqual([])
    free = 10
    await go(3_000)
    expect(said.filter(({ kind }) => kind === 'skip')).toMatchObject([{ from: 500, to: 501 }])
    // One call that never ends is no trouble while others work.
    store.put = put
    free = 2_000
    for (let position = 600; position < 603; position++) {
      worker.advanced(at(position), 10, false)
      upTo(position + 1)
      await go(1_000)
    }
    expect(worker.trouble).toBeUndefined()
    expect(state.end).toBe(603)
    await worker.end()
  })

  it('reads on while the log grows, and claims without reading anything twice', async () => {
    const MB = 1_000_000
    const reads: { from: number; to: number }[] = []
    const entryAt = (from: LogPos): LogRead => ({
      entries: [{ pos: from, bytes: Buffer.alloc(MB / 10, from), voided: false }],
      next: at(from + 1),
    })
    const { go, said, state, store, upTo, worker } = withWorker(
      (from, to) => {
        reads.push({ from, to })
        return entryAt(from)
      },
      5_000,
      { options: { intervalMs: 60_000, segmentBytes: 5 * MB } },
    )
    worker.begin(at(11))
    await go(300)
    const claims = () => said.filter(({ kind }) => kind === 'claim')
    const apply = async (from: number, to: number): Promise<void> => {
      for (let position = from; position < to; position++) worker.advanced(at(position), MB / 10, false)
      upTo(to)
      await go(200)
    }
    await apply(20, 60)
    // Not enough for a segment; all of it is read, from the first position of the backup on.
    expect(reads).toHaveLength(50)
    expect(claims()).toEqual([])
    await apply(60, 80)
    expect(claims()).toMatchObject([{ from: 10, to: 60 }])
    expect(reads.map(({ from }) => from)).toEqual(reads.map((_, i) => 10 + i))
    expect(state.end).toBe(60)
    const name = [...store.blobs.keys()].find((one) => one.endsWith('.segment')) as string
    const envelope = new CompressedEnvelope({ random: new SeededRandom(1), compression: SYNCHRONOUS })
    const segment = decodeSegment(await envelope.unwrap(name, await store.get(name)), name)
    expect(segment.entries.map(({ bytes, pos }) => [pos, bytes[0], bytes.length])).toEqual(
      Array.from({ length: 50 }, (_, i) => [10 + i, 10 + i, MB / 10]),
    )
    await worker.end()
  })

  it('at an orderly end uploads what is waiting, however short the time since', async () => {
    const { go, state, store, upTo, worker } = withWorker(everything, 500, { options: { intervalMs: 60_000 } })
    upTo(500)
    worker.begin(at(500))
    await go(300)
    worker.advanced(at(500), 10, false)
    upTo(600)
    expect(state.end).toBe(10)
    const ended = worker.end()
    await go(100)
    await ended
    expect(state.end).toBe(501)
    expect([...store.blobs.keys()]).toContainEqual(expect.stringMatching(/0{14}10-0{13}501\.segment$/))
  })

  it('at an orderly end waits for a place that is silent no longer than it is told to, and not for one that fails', async () => {
    const silent = withWorker(everything, 500, { options: { closeMs: 2_000 } })
    // Its client ends with the signal: retrying-blob-store.ts.
    silent.store.put = (_name, _bytes, { signal } = {}) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('ended'))))
    silent.upTo(500)
    silent.worker.begin(at(500))
    let ended = false
    const end = silent.worker.end().then(() => {
      ended = true
    })
    await silent.go(1_900)
    expect(ended).toBe(false)
    await silent.go(200)
    await end

    const failing = withWorker(everything, 500, { options: { closeMs: 2_000 } })
    failing.store.put = () => Promise.reject(new Error('no room there'))
    failing.upTo(500)
    failing.worker.begin(at(500))
    const beganMs = failing.time.monotonicMs()
    const over = failing.worker.end()
    await failing.go(50)
    await over
    expect(failing.time.monotonicMs() - beganMs).toBeLessThan(100)
  })

  it('gives up what is waiting when uploads fail and the disk fills up, and not one without the other', async () => {
    let free = 50
    const options = { freeBytesMin: 1_000, holdMs: 0 }
    const { apply, go, said, state, store, upTo, worker } = withWorker(everything, 5_000, {
      options,
      freeBytes: async () => free,
    })
    const skips = () => said.filter(({ kind }) => kind === 'skip')
    upTo(500)
    worker.begin(at(500))
    await go(500)
    // The disk is full, and uploads work: trimming makes room.
    expect(state.end).toBe(500)
    expect(skips()).toEqual([])
    const put = store.put.bind(store)
    store.put = () => Promise.reject(new Error('no room there'))
    free = 2_000
    for (let position = 500; position < 510; position++) worker.advanced(at(position), 10, false)
    upTo(600)
    await go(3_000)
    // Uploads fail, and there is room.
    expect(worker.trouble?.message).toMatch(/no room there/)
    expect(skips()).toEqual([])
    free = 999
    await go(3_000)
    expect(skips()).toMatchObject([{ from: 500, to: 510 }])
    expect(state.gaps).toMatchObject([{ from: 500, to: 510, reason: expect.stringMatching(/999 bytes free.*no room/) }])
    store.put = put
    apply({ kind: 'abandon', serverId: 'a', claim: state.snapshotClaim?.id ?? at(0) })
    await worker.end()
  })
})

/** A log that has nothing at all its positions. */
function everything(_from: LogPos, to: LogPos): LogRead {
  return { entries: [], next: to }
}

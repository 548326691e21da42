// One seed: three servers share a hostile log and a hostile blob store, through lives that end at any moment; then the weather
// clears, the backup catches up, and what is restored from it is compared with what was there.

import { CompressedEnvelope } from '../../../blobs/envelope.ts'
import { BackupNames } from '../../../engines/log-backup/backup-names.ts'
import { logBackupEngine } from '../../../engines/log-backup/log-backup-engine.ts'
import type { LogBackupOptions } from '../../../engines/log-backup/log-backup-options.ts'
import { viewTrackingEngine } from '../../../engines/view-tracking/view-tracking-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import { chooseHistory, readManifest, restorableRanges, snapshotFor } from '../../../node/restore/backup-catalog.ts'
import { loadSnapshot } from '../../../node/restore/load-snapshot.ts'
import { playBackup } from '../../../node/restore/play-backup.ts'
import { ReplayLog } from '../../../node/restore/replay-log.ts'
import { drawIdentity, type Identity } from '../../../store/identity.ts'
import { MemoryBackend, openMemoryStore } from '../../../store/memory-store.ts'
import { CALM } from '../../faults.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { HostileService } from '../engines/hostile-service.ts'
import { Load } from '../load.ts'
import { BackupChecks, PART_BYTES } from './backup-checks.ts'
import { BackupServer, isWeather, KEYS, KeyDatabase } from './backup-server.ts'
import { HostileBlobs, SYNCHRONOUS } from './hostile-blobs.ts'

const NAMES = ['a', 'b', 'c']
const ENDS_MIN = 5
const LOAD_MS_MIN = 5_000
const CALM_MS = 120_000
const LOOK_MS = 120
const RESTORES = 3

export class BackupRun {
  private readonly world: Simulation
  private readonly operations: number
  private readonly service: HostileService
  private readonly blobs: HostileBlobs
  private readonly identity: Identity
  private readonly checks: BackupChecks
  private readonly servers: readonly BackupServer[]
  private readonly load: Load
  private releasing = false

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.load = new Load(world)
    this.service = new HostileService(world)
    this.blobs = new HostileBlobs(world)
    this.identity = drawIdentity(world.random.fork('identity'))
    this.checks = new BackupChecks(new BackupNames(KEYS, this.identity.historyId), this.blobs.inner.blobs)
    const { blobs, identity, service } = this
    const { random } = world
    const backup: Partial<LogBackupOptions> = {
      tickMs: 50,
      intervalMs: random.pick([100, 400]),
      segmentBytes: random.pick([300, 2_000]),
      snapshotBytes: random.pick([1_000, 10_000]),
      snapshotMs: random.pick([400, 5_000]),
      partBytes: PART_BYTES,
      silentMs: random.pick([300, 1_500]),
      keepMs: random.pick([0, 200, 500]),
      holdMs: random.pick([0, 1_000]),
    }
    const trims = (server: BackupServer, to: LogPos): void => this.guard(() => this.checkTrim(server, to))
    this.servers = NAMES.map(
      (name) => new BackupServer({ world, name, names: NAMES, identity, service, blobs, backup, trims }),
    )
  }

  run(): Promise<void> {
    return Promise.race([this.toTheEnd(), this.load.broken])
  }

  private async toTheEnd(): Promise<void> {
    const { queue } = this.world
    const lives = Promise.all(this.servers.map((server) => this.lives(server)))
    lives.catch((error: unknown) => this.load.fail(error))
    const endMs = queue.nowMs + LOAD_MS_MIN
    const look = (): void => {
      this.look()
      if (this.world.random.chance(0.04)) this.blobs.away(this.world.random.pick([500, 3_000, 8_000]))
    }
    await this.load.until(this.operations, ENDS_MIN, LOOK_MS, look, endMs)
    this.load.over = true
    this.service.calm = true
    this.blobs.calm = true
    this.world.faults = { ...CALM, clock: this.world.faults.clock }
    await lives
    await this.caughtUp()
    await this.restoreSome()
  }

  /** One machine's processes, one after the other. */
  private async lives(server: BackupServer): Promise<void> {
    const { random } = this.world
    for (;;) {
      const lifeMs = 200 + random.fraction() * 3_000
      const started = server.start()
      const serving = await Promise.race([started, this.world.sleep(lifeMs + 8_000).then(() => undefined)])
      if (serving !== undefined) {
        await this.enabled(server)
        this.watch(this.clients(server))
        if (this.load.over) return
        await this.world.sleep(lifeMs)
        if (this.load.over) return
      }
      this.load.ends++
      this.noteForgotten()
      this.count(server.life?.engine.counts)
      if (random.chance(0.5)) server.machine.crash()
      else server.machine.kill()
      await this.world.sleep(random.fraction() * 500)
    }
  }

  private watch(work: Promise<void>): void {
    work.catch((error: unknown) => this.load.fail(error))
  }

  private async enabled(server: BackupServer): Promise<void> {
    const { life } = server
    if (life === undefined) return
    this.watch(
      life.stack.enable('new').catch((error: unknown) => {
        if (!isWeather(error)) throw error
      }),
    )
    await this.world.sleep(1)
  }

  private async clients(server: BackupServer): Promise<void> {
    const { random } = this.world
    const { life } = server
    while (!this.load.over && life !== undefined && server.life === life) {
      const text = `${random.below(40)} ${random.below(1_000_000)}${'x'.repeat(random.below(60))}`
      // Of a process that ends meanwhile it never settles.
      const call = life.stack.propose(Buffer.from(text)).then(
        () => this.load.done++,
        (error: unknown) => {
          if (!isWeather(error)) this.load.fail(error)
        },
      )
      await Promise.race([call, this.world.sleep(200)])
      await this.world.sleep(random.fraction() * 30)
    }
  }

  private look(): void {
    this.noteForgotten()
    for (const server of this.servers) {
      const { life } = server
      if (life === undefined) continue
      this.release(server)
      this.checks.content(life.store.read())
      const { state } = life.engine
      this.checks.covered(state, state.end, `${server.name} takes the log for backed up to`)
      this.checks.snapshots(state)
    }
  }

  /** Who is not in the view would not be waited for. */
  private release({ life }: BackupServer): void {
    if (life === undefined) return
    const members = life.stack.membership.members(life.stack.read())
    this.releasing ||= members.length === NAMES.length
    if (this.releasing && members.length === NAMES.length) {
      life.stack.engine.setTrimPrefix(Number.MAX_SAFE_INTEGER as LogPos)
    }
  }

  private guard(checks: () => void): void {
    try {
      checks()
    } catch (failure) {
      this.load.fail(failure)
    }
  }

  /** Also just before one ends: it may have been the only one that knew. */
  private noteForgotten(): void {
    for (const { life } of this.servers) if (life !== undefined) this.checks.forgot(life.engine.state)
  }

  private checkTrim(server: BackupServer, to: LogPos): void {
    if (server.life === undefined) return
    this.noteForgotten()
    this.world.counters.bump('log trimmed')
    this.checks.covered(server.life.engine.state, to, `${server.name} trims the log to`)
  }

  private async caughtUp(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + CALM_MS
    for (;;) {
      await Promise.allSettled(this.servers.map(({ life }) => life?.stack.sync()))
      this.look()
      const cursors = new Set(this.servers.map(({ cursor }) => cursor))
      const states = this.servers.map(({ life }) => life?.engine.state)
      const [state] = states
      const newest = state?.snapshots.at(-1)?.cursor ?? -1
      const whole = newest >= (state?.gaps.at(-1)?.to ?? 0) && newest >= 0 && state?.claims.length === 0
      const end = state?.end ?? 0
      const known = this.checks.cursors.some((cursor) => cursor >= newest && cursor <= end)
      if (cursors.size === 1 && whole && known) break
      // Whoever is idle uploads nothing: then there may be no entry with a known content that can be restored.
      await this.servers[0]?.life?.stack.propose(Buffer.from('last word')).catch(() => undefined)
      await this.world.sleep(this.world.random.below(500))
      const where = `${[...cursors].join()}, backed up to ${state?.end}, newest snapshot ${newest}`
      check(queue.nowMs < endMs, `after ${CALM_MS} calm ms servers stand at ${where}`)
      await this.world.sleep(LOOK_MS)
    }
    for (const { life } of this.servers) this.count(life?.engine.counts)
    const state = this.servers[0]?.life?.engine.state
    this.world.counters.bump('gap', state?.gaps.length ?? 0)
    if ((state?.first ?? 0) > (state?.history?.start ?? 0)) this.world.counters.bump('forgotten')
    this.world.counters.bump('contents compared', this.checks.compared)
  }

  private count(counts: Readonly<Record<string, number>> = {}): void {
    for (const [name, value] of Object.entries(counts)) this.world.counters.bump(name, value)
  }

  private async restoreSome(): Promise<void> {
    const { random, timers, clock, queue } = this.world
    const blobs = {
      store: this.blobs.inner,
      envelope: new CompressedEnvelope({ random: random.fork('restore'), compression: SYNCHRONOUS }),
    }
    const history = await chooseHistory(blobs, KEYS, undefined)
    const ranges = restorableRanges(history)
    const state = this.servers[0]?.life?.engine.state
    const known = this.checks.cursors.filter(
      (cursor) =>
        cursor > (state?.first ?? 0) && ranges.some(({ first, last }) => cursor - 1 >= first && cursor - 1 <= last),
    )
    check(known.length > 0, 'there is something to restore')
    for (let i = 0; i < RESTORES; i++) {
      const tail = i === 0 ? (known.at(-1) as LogPos) : random.pick(known)
      const cursor = snapshotFor(history, (tail - 1) as LogPos)
      const manifest = await readManifest(blobs, history.names, cursor)
      const runtime = { clock, timers, random: random.fork(`restore ${i}`) }
      const store = openMemoryStore({ runtime, backend: new MemoryBackend(runtime) })
      const { databaseId, historyId } = this.identity
      await loadSnapshot({ blobs, names: history.names, manifest, databaseId, store, progress: () => undefined })
      const log = new ReplayLog({ blobs, historyId, segments: history.segments, from: cursor, tail })
      await playBackup({
        runtime,
        log,
        store,
        database: KEYS,
        engines: [logBackupEngine(), viewTrackingEngine()],
        applicator: new KeyDatabase(),
        opened: () => undefined,
        progress: () => undefined,
      })
      this.checks.restored(store.read())
      this.world.counters.bump('restored')
      await store.close()
    }
    this.world.trace.note('restored', `${queue.nowMs}`)
  }
}

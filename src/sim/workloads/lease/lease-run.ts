// One seed: three or five servers of which all want the lease, clients that write, read by the lease and by the log at any of them,
// timers that fire and operators who edit; servers die, pause, are suspended, or cut off from the log. Every change has a number, and
// what anybody has been shown anywhere is a floor for every read that begins later.

import { DelosError } from '../../../base/delos-error.ts'
import { type Entry, entryOf } from '../../../engine/entry.ts'
import { proposeForwarding } from '../../../engine/forwarding.ts'
import type { LeaseHolder } from '../../../engine/leased-reads.ts'
import type { LeaseEngine } from '../../../engines/lease/lease-engine.ts'
import { LEASE } from '../../../engines/lease/lease-engine.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { HostileService } from '../engines/hostile-service.ts'
import { Load } from '../load.ts'
import { type LeaseLife, LeaseServer, ProcessEnded } from './lease-server.ts'
import { EDITED, numberBytes, outstandingIn, updateBytes, type Versions, versionsIn } from './versioned-database.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
const CONVERGE_MS = 60_000
const ENDS_MIN = 5
/** Covers drifting clocks: see grant.ts. */
const DURATION_MS = 800
const MARGIN_MS = 200

export class LeaseRun {
  private readonly world: Simulation
  private readonly operations: number
  private readonly service: HostileService
  private readonly servers: readonly LeaseServer[]
  private floor: Versions = { version: 0, edited: 0 }
  private readonly load: Load
  private holders = new Set<string>()

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.load = new Load(world)
    this.service = new HostileService(world)
    const names = NAMES.slice(0, world.random.pick([3, 3, 5]))
    const lease = { durationMs: DURATION_MS, marginMs: MARGIN_MS, wants: true, address: '' }
    const seen = (version: number, fired: boolean): void => {
      this.raise({ version, edited: 0 })
      if (fired) world.counters.bump('timer fired')
    }
    this.servers = names.map((name) => new LeaseServer({ world, service: this.service, name, names, lease, seen }))
  }

  run(): Promise<void> {
    return Promise.race([this.toTheEnd(), this.load.broken])
  }

  private async toTheEnd(): Promise<void> {
    const lives = this.servers.map((server) => this.load.actor(() => this.lives(server)))
    await this.enable()
    const actors = this.servers.flatMap((server) => [
      this.load.repeat(() => this.write(server), 60),
      this.load.repeat(() => this.readHere(server), 4),
      this.load.repeat(() => this.readAnyhow(server), 40),
      this.load.repeat(() => this.edit(server), 700),
      this.load.repeat(() => this.suffer(server), 500),
    ])
    await this.load.until(this.operations, ENDS_MIN, 50)
    this.heal()
    await Promise.all([...actors, ...lives])
    await this.converge()
    for (const { machine } of this.servers) machine.kill()
  }

  private async lives(server: LeaseServer): Promise<void> {
    while (!this.load.over || server.life === undefined) {
      try {
        if (!server.machine.running) await server.start()
      } catch (error) {
        if (!(error instanceof DelosError || error instanceof ProcessEnded)) throw error
        server.end()
      }
      await this.world.sleep(20 + this.world.random.fraction() * 300)
    }
  }

  private async enable(): Promise<void> {
    for (;;) {
      const life = this.servers.find(({ isUp }) => isUp)?.life
      if (life !== undefined) {
        const done = await life.stack.enable().then(
          () => true,
          (error: unknown) => {
            if (!(error instanceof DelosError)) throw error
            return false
          },
        )
        if (done) return
      }
      await this.world.sleep(50)
    }
  }

  // ── what clients do ───────────────────────────────────────────────────────────────────────────────────────────────────

  private raise({ edited, version }: Versions): void {
    this.floor = { version: Math.max(this.floor.version, version), edited: Math.max(this.floor.edited, edited) }
  }

  private checked(what: string, began: Versions, found: Versions): void {
    const text = ({ edited, version }: Versions): string => `version ${version}, edit ${edited}`
    const isOld = found.version < began.version || found.edited < began.edited
    check(!isOld, `${what} answers ${text(found)}; before it began somebody had been shown ${text(began)}`)
    this.raise(found)
    this.load.done++
  }

  private async write(server: LeaseServer): Promise<void> {
    const { counters, random } = this.world
    if (!isOnline(server)) return
    const began = this.floor
    const entry = entryOf(updateBytes(random.chance(0.2) ? random.integer(20, 400) : undefined))
    let forwarded = false
    const forward = async (holder: LeaseHolder, update: Entry): Promise<number> => {
      forwarded = true
      counters.bump('update refused: LEASE_HELD')
      const other = this.servers.find(({ name }) => name === holder.address)
      if (other === undefined || !isOnline(other)) throw new DelosError('NOT_READY', 'the holder is away')
      return await proposed(other, update)
    }
    try {
      const version = await proposeForwarding({ propose: (update) => proposed(server, update) }, entry, forward)
      check(version > began.version, `update ${version} came after one with ${began.version} had been shown`)
      counters.bump('update')
      if (forwarded) counters.bump('forwarded')
      this.raise({ version, edited: 0 })
      this.load.done++
    } catch (error) {
      if (error instanceof ProcessEnded) return
      if (!(error instanceof DelosError)) throw error
      counters.bump(`update refused: ${error.code}`)
    }
  }

  /** By the lease and nothing else. */
  private async readHere(server: LeaseServer): Promise<void> {
    const { life } = server
    if (life === undefined || !server.isUp) return
    const began = this.floor
    const read = life.stack.leasedReads?.tryRead(versionsIn)
    if (read === undefined) return
    this.holders.add(`${server.name} ${life.stack.layer(LEASE)?.details().epoch}`)
    this.world.counters.bump('leased read')
    this.checked(`a leased read at ${server.name}`, began, read.value)
  }

  private async readAnyhow(server: LeaseServer): Promise<void> {
    const { counters, random } = this.world
    const { life } = server
    if (life === undefined || !server.isUp) return
    const began = this.floor
    const leased = random.chance(0.5)
    try {
      const read = leased
        ? (life.stack.leasedReads as LeaseEngine).read(versionsIn)
        : life.stack.sync().then((tx: ReadTx) => versionsIn(tx))
      const found = await Promise.race([life.pause.answer(read), life.ended])
      counters.bump(leased ? 'read' : 'sync')
      this.checked(`a ${leased ? 'read' : 'sync'} at ${server.name}`, began, found)
    } catch (error) {
      if (!(error instanceof DelosError || error instanceof ProcessEnded)) throw error
    }
  }

  private async edit(server: LeaseServer): Promise<void> {
    const { life } = server
    if (life === undefined || !server.isUp) return
    const { edited } = versionsIn(life.stack.read())
    const old = { value: edited === 0 ? undefined : numberBytes(edited) }
    const edits = [{ key: EDITED, old, value: numberBytes(edited + 1) }]
    try {
      const wanted = { who: 'operator', why: 'a simulation', edits, forced: false, dryRun: false }
      const outcome = await Promise.race([life.pause.answer(life.doctor.edit(wanted)), life.ended])
      if (outcome.kind !== 'edited' || !outcome.shown) return
      this.world.counters.bump('edited')
      this.raise({ version: 0, edited: edited + 1 })
    } catch (error) {
      if (!(error instanceof DelosError || error instanceof ProcessEnded)) throw error
    }
  }

  // ── what happens to servers ───────────────────────────────────────────────────────────────────────────────────────────

  private async suffer(server: LeaseServer): Promise<void> {
    const { counters, random } = this.world
    const { life } = server
    if (life === undefined || !server.isUp) return
    const ms = random.latency(20, 3 * DURATION_MS)
    const what = random.pick(['pause', 'suspended', 'cut off', 'cut off', 'end'] as const)
    counters.bump(what)
    switch (what) {
      case 'end':
        this.load.ends++
        server.end()
        return
      case 'cut off':
        life.cut.begin()
        await this.world.sleep(random.integer(DURATION_MS / 2, 2 * DURATION_MS))
        life.cut.end()
        return
      default:
        if (what === 'suspended') life.clock.suspend()
        life.pause.begin()
        await this.world.sleep(ms)
        life.clock.resume()
        life.pause.end()
    }
  }

  private heal(): void {
    this.load.over = true
    this.service.calm = true
    for (const { life } of this.servers) {
      life?.cut.end()
      life?.clock.resume()
      life?.pause.end()
    }
  }

  // ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One holds the lease, whoever writes reaches it, what waited has come, and all have the same. */
  private async converge(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + CONVERGE_MS
    const lives = this.servers.map(({ life }) => life as LeaseLife)
    for (;;) {
      const before = this.world.counters.get('update')
      for (const server of this.servers) await this.write(server)
      const written = this.world.counters.get('update') - before
      await Promise.allSettled(lives.map(({ stack }) => stack.sync()))
      const states = lives.map(
        ({ stack }) => `${JSON.stringify(versionsIn(stack.read()))} ${outstandingIn(stack.read())}`,
      )
      const details = lives.map(({ stack }) => stack.layer(LEASE)?.details() ?? {})
      const held = details.filter((detail) => detail.held).length
      const waiting = lives.some(({ stack }) => outstandingIn(stack.read()) > 0)
      if (written === lives.length && new Set(states).size === 1 && !waiting && held === 1) break
      check(
        queue.nowMs < endMs,
        `after ${CONVERGE_MS} calm ms: ${written} written, ${held} hold the lease; ${states.join('; ')}`,
      )
      await this.world.sleep(100)
    }
    const { counters } = this.world
    for (const { stack } of lives) {
      const { filtered = 0, gaveUp = 0 } = stack.layer(LEASE)?.details() ?? {}
      counters.bump('filtered', Number(filtered))
      counters.bump('gave up', Number(gaveUp))
    }
    counters.bump('reign', this.holders.size)
  }
}

// Whoever is cut off is read from: what it could not log would keep it from answering.
function isOnline(server: LeaseServer): boolean {
  return server.isUp && server.life?.cut.paused === false
}

/** Rejects with ProcessEnded if the server dies meanwhile. */
function proposed(server: LeaseServer, update: Entry): Promise<number> {
  const { ended, stack } = server.life as LeaseLife
  return Promise.race([stack.propose(update), ended])
}

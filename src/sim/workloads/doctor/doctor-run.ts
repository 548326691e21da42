// One seed: three servers under load; now and then a row is spoilt or a request is a bug, and all of them stop at one entry, while
// one lags or is down; an operator repairs or voids it at one server, all are started again, some die amid their replay. Nothing
// but what was voided may be lost, and their contents must be equal.

import { DelosError } from '../../../base/delos-error.ts'
import { stoppedAtEntry } from '../../../engine/bottom-engine.ts'
import { decodeEntry } from '../../../engine/entry-codec.ts'
import { BRAIN_DOCTOR, type BrainDoctorEngine } from '../../../engines/brain-doctor/brain-doctor-engine.ts'
import type { LogPos } from '../../../log/position.ts'
import type { ReadTx } from '../../../store/local-store.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { HostileService } from '../engines/hostile-service.ts'
import { type DoctorLife, DoctorServer } from './doctor-server.ts'
import { counterKey, decodeFragile, encodeFragile, type FragileRequest, requestKey } from './fragile-database.ts'

const NAMES = ['a', 'b', 'c']
const COUNTERS = ['k0', 'k1', 'k2', 'k3']
const CONVERGE_MS = 60_000
const SIGNATURE = { who: 'operator', why: 'a simulation' }

export class DoctorRun {
  private readonly world: Simulation
  private readonly operations: number
  private readonly service: HostileService
  private readonly servers: readonly DoctorServer[]
  private readonly acknowledged = new Set<number>()
  private readonly refused = new Set<number>()
  private readonly voided = new Set<LogPos>()
  private nextId = 1
  private done = 0
  private certainEdits = 0

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.service = new HostileService(world)
    this.servers = NAMES.map((name) => new DoctorServer(world, this.service, name, NAMES))
  }

  async run(): Promise<void> {
    await this.allServe()
    await this.enable()
    while (this.done < this.operations) {
      await this.load()
      const { random } = this.world
      const late = random.pick(this.servers)
      if (random.chance(0.3)) {
        late.end()
        this.world.counters.bump('one was down')
      } else if (random.chance(0.5)) {
        late.life?.lag.begin()
      }
      await this.breakSomething()
      await this.load()
      await this.allServe()
    }
    this.service.calm = true
    await this.allServe()
    await this.compare()
    for (const server of this.servers) server.machine.kill()
  }

  private async enable(): Promise<void> {
    for (;;) {
      try {
        await this.serving()?.stack.enable()
        return
      } catch (error) {
        if (!(error instanceof DelosError)) throw error
        await this.world.sleep(100)
      }
    }
  }

  private serving(): DoctorLife | undefined {
    const serves = (life: DoctorLife): boolean => life.stack.status().state === 'serving' && !life.lag.paused
    const lives = this.servers.flatMap(({ life }) => (life !== undefined && serves(life) ? [life] : []))
    return lives.length === 0 ? undefined : this.world.random.pick(lives)
  }

  // ── load ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async load(): Promise<void> {
    const { random } = this.world
    const calls = Array.from({ length: random.integer(3, 15) }, async () => {
      await this.world.sleep(random.fraction() * 200)
      const life = this.serving()
      if (life === undefined) return
      if (random.chance(0.1)) await this.editOne(life)
      else await this.add(life, random.pick(COUNTERS))
    })
    await Promise.all(calls)
  }

  private async add(life: DoctorLife, counter: string): Promise<void> {
    const id = this.nextId++
    const code = await this.propose(life, { kind: 'add', counter, id })
    if (code === undefined) this.acknowledged.add(id)
    else if (code !== 'INDETERMINATE') this.refused.add(id)
  }

  private async propose({ stack }: DoctorLife, request: FragileRequest): Promise<string | undefined> {
    this.done++
    const died = this.deathOf(stack)
    try {
      await Promise.race([stack.propose(encodeFragile(request)), died])
      return undefined
    } catch (error) {
      if (error instanceof DelosError) return error.code
      throw error
    }
  }

  // A dead process answers nobody.
  private deathOf(stack: DoctorLife['stack']): Promise<never> {
    return new Promise((_, reject) => {
      const server = this.servers.find(({ life }) => life?.stack === stack)
      server?.machine.runtime.life.onEnd(() => reject(new DelosError('INDETERMINATE', 'the process died')))
    })
  }

  /** A counter is set to something else while the database serves. */
  private async editOne({ doctor, stack }: DoctorLife): Promise<void> {
    const { counters, random } = this.world
    const key = counterKey(random.pick(COUNTERS))
    // Now and then the operator is wrong, and spoils it.
    const value = random.chance(0.1) ? 'typo' : String(random.integer(1, 9) * 1000)
    const edits = [{ key, value: Buffer.from(value) }]
    try {
      const edit = doctor.edit({ ...SIGNATURE, edits, forced: false, dryRun: random.chance(0.1) })
      const { kind } = await Promise.race([edit, this.deathOf(stack)])
      counters.bump(`edit: ${kind}`)
      if (kind === 'edited') this.certainEdits++
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
    }
  }

  private async breakSomething(): Promise<void> {
    const { counters, random } = this.world
    const life = this.serving()
    if (life === undefined) return
    const counter = random.pick(COUNTERS)
    if (random.chance(0.4)) {
      counters.bump('a bug')
      await this.propose(life, { kind: 'bug' })
    } else {
      counters.bump('a spoilt row')
      await this.propose(life, { kind: 'spoil', counter })
      await Promise.all([1, 2, 3].map(() => this.add(life, counter)))
    }
  }

  // ── the operator ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Starts whoever is down and repairs what stops them, until all serve. */
  private async allServe(): Promise<void> {
    const { queue, random } = this.world
    const endMs = queue.nowMs + CONVERGE_MS
    for (;;) {
      for (const server of this.servers) {
        if (server.life === undefined) await this.start(server)
        // Some die amid their replay.
        else if (random.chance(0.03) && !this.service.calm) server.end()
      }
      await this.world.sleep(50 + random.fraction() * 300)
      if (random.chance(0.1)) for (const { life } of this.servers) life?.lag.end()
      const lives = this.servers.flatMap(({ life }) => life ?? [])
      const states = lives.map(({ stack }) => stack.status())
      const cursors = new Set(states.map(({ cursor }) => cursor))
      const lags = lives.some(({ lag }) => lag.paused)
      if (!lags && states.length === NAMES.length && states.every(({ state }) => state === 'serving')) {
        if (!this.service.calm || cursors.size === 1) return
        await Promise.allSettled(lives.map(({ stack }) => stack.sync()))
      }
      const stopped = lives.filter(({ stack }) => stack.status().state === 'stopped')
      if (stopped.length > 0 && (await this.repair(random.pick(stopped)))) await this.restart()
      const where = states.map(({ cursor, failure, state }) => `${state} at ${cursor} ${failure?.message ?? ''}`)
      check(queue.nowMs < endMs, `after ${CONVERGE_MS} ms they do not serve: ${where.join('; ')}`)
    }
  }

  private async start(server: DoctorServer): Promise<void> {
    try {
      await server.start()
    } catch (error) {
      // No answer of the log in time.
      if (!(error instanceof DelosError)) throw error
      server.end()
    }
  }

  /** All that stopped, and whoever has not met the entry yet now and then. */
  private async restart(): Promise<void> {
    const { counters, random } = this.world
    for (const server of this.servers) {
      const state = server.life?.stack.status().state
      if (server.life?.lag.paused) {
        // It goes on with the chain that it knew, meets the entry, and is started again by then.
        counters.bump('one came later')
        server.life.lag.end()
        continue
      }
      if (state !== 'stopped' && random.chance(0.7)) continue
      server.end()
      await this.start(server)
    }
  }

  /** True if they must be started again. */
  private async repair({ doctor, stack }: DoctorLife): Promise<boolean> {
    const { counters, random } = this.world
    const { failure } = stack.status()
    check(failure !== undefined && stoppedAtEntry(failure), `a server stopped with ${failure?.code}: ${failure?.stack}`)
    const { message, position } = failure
    const counter = /counter (\w+) is no number/.exec(message)?.[1]
    // What has been repaired meanwhile is met by who was not told.
    if (random.chance(0.2)) return true
    try {
      if (counter === undefined || random.chance(0.2)) {
        await doctor.void(position, SIGNATURE)
        this.voided.add(position)
        counters.bump('voided by the doctor')
        return true
      }
      const edits = [{ key: counterKey(counter), value: Buffer.from('500') }]
      const { kind } = await doctor.edit({ ...SIGNATURE, edits, forced: false, dryRun: false })
      counters.bump(`repair: ${kind}`)
      return true
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      counters.bump(`repair failed: ${error.code}`)
      // Nobody knows whether the chain has it: if so, it was for this position.
      if (error.code === 'INDETERMINATE') this.voided.add(position)
      return true
    }
  }

  // ── what is right ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private async compare(): Promise<void> {
    const lives = this.servers.map(({ life }) => life as DoctorLife)
    const [first, ...others] = lives.map(({ stack }) => rowsOf(stack.read()))
    for (const rows of others)
      check(rows.join('\n') === first?.join('\n'), `contents differ:\n${difference(first ?? [], rows)}`)
    const [life] = lives as [DoctorLife]
    const tx = life.stack.read()
    for (const id of this.acknowledged)
      check(tx.get(requestKey(id)) !== undefined, `request ${id} was acknowledged, and is lost`)
    for (const id of this.refused)
      check(tx.get(requestKey(id)) === undefined, `request ${id} was refused, and is there`)
    await this.checkNothingLost(life)
    const audited = (life.stack.layer(BRAIN_DOCTOR) as BrainDoctorEngine).history(life.stack.read(), 10_000)
    check(audited.length >= this.certainEdits, `${audited.length} records of ${this.certainEdits} edits and more`)
    const places = audited.map(({ position, repairs }) => repairs ?? position)
    check(
      audited.every(({ position }, at) => position === places[at]),
      'a repair was made at another place than it names',
    )
    this.world.counters.bump('records', audited.length)
  }

  /** Whatever is in the log was applied, unless it was voided by name. */
  private async checkNothingLost({ log, stack }: DoctorLife): Promise<void> {
    const { cursor } = stack.status()
    const requests: FragileRequest[] = []
    for (let from = 0 as LogPos; from < cursor; ) {
      const { entries, next } = await log.readNext(from, cursor, 1 << 20)
      for (const { bytes, pos, voided } of entries) {
        check(!voided || this.voided.has(pos), `position ${pos} is void, though nobody asked for it`)
        const { payload } = decodeEntry(bytes)
        if (payload !== undefined && !voided) requests.push(decodeFragile(payload))
      }
      check(next > from, `the log can't be read at ${from}`)
      from = next
    }
    const tx = stack.read()
    for (const request of requests) {
      if (request.kind !== 'add') continue
      check(tx.get(requestKey(request.id)) !== undefined, `request ${request.id} is in the log and was passed`)
    }
  }
}

function rowsOf(tx: ReadTx): string[] {
  return [...tx.scan({ from: '' })].map(
    ([key, value]) => `${JSON.stringify(key)}=${Buffer.from(value).toString('latin1')}`,
  )
}

function difference(a: readonly string[], b: readonly string[]): string {
  return [
    ...a.filter((row) => !b.includes(row)).map((row) => `- ${row}`),
    ...b.filter((row) => !a.includes(row)).map((row) => `+ ${row}`),
  ].join('\n')
}

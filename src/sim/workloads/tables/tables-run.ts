// One seed: three servers, of which one or two join late and play the whole log, under load over one hostile log; they die, pause and
// come back; then the weather clears, everything must be equal, and every row whose time is over must end.

import { DelosError } from '../../../base/delos-error.ts'
import { CURSOR_KEY } from '../../../engines/base-engine/cursor.ts'
import { readProgress } from '../../../table/apply/index-builder.ts'
import type { Simulation } from '../../simulation.ts'
import { check } from '../../workload.ts'
import { HostileService } from '../engines/hostile-service.ts'
import { ProcessEnded } from '../lease/lease-server.ts'
import { Load } from '../load.ts'
import { TablesClients } from './tables-clients.ts'
import { checkStore } from './tables-content.ts'
import { TablesModel } from './tables-model.ts'
import { STEP_ROWS, type TablesLife, TablesServer } from './tables-server.ts'

const NAMES = ['a', 'b', 'c']
const ENDS_MIN = 5
const CONVERGE_MS = 30_000

export class TablesRun {
  private readonly world: Simulation
  private readonly operations: number
  private readonly service: HostileService
  private readonly model: TablesModel
  private readonly servers: readonly TablesServer[]
  private readonly load: Load
  private readonly clients: TablesClients

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.load = new Load(world)
    this.service = new HostileService(world)
    this.model = new TablesModel(world.clock, STEP_ROWS)
    const { model, service } = this
    const fail = (error: unknown): void => this.load.fail(error)
    this.servers = NAMES.map((name) => new TablesServer({ world, service, model, name, names: NAMES, fail }))
    this.clients = new TablesClients({
      world,
      model,
      servers: () => this.servers,
      operated: () => void this.load.done++,
    })
  }

  run(): Promise<void> {
    return Promise.race([this.toTheEnd(), this.load.broken])
  }

  private async toTheEnd(): Promise<void> {
    const { random } = this.world
    const late = random.pick([1, 1, 2])
    const lives = this.servers.map((server, i) => this.load.actor(() => this.lives(server, i >= NAMES.length - late)))
    await this.enable()
    const actors = this.servers.flatMap((server) => [
      ...Array.from({ length: random.pick([1, 2, 4]) }, () => this.load.repeat(() => this.clients.step(server), 12)),
      this.load.repeat(() => this.suffer(server), 400),
    ])
    await this.load.until(this.operations, ENDS_MIN, 60, () => this.compare())
    this.load.over = true
    this.service.calm = true
    for (const { life } of this.servers) life?.pause.end()
    await Promise.all([...actors, ...lives])
    await this.converge()
    await this.checkDigests()
    for (const { machine } of this.servers) machine.kill()
  }

  private async lives(server: TablesServer, late: boolean): Promise<void> {
    const { counters, random } = this.world
    let isNew = late
    while (isNew && this.load.done < this.operations * random.fraction()) await this.world.sleep(50)
    while (!this.load.over || server.life === undefined) {
      try {
        if (!server.machine.running) {
          const { store } = await server.start()
          checkStore(store.read(), this.model)
          if (isNew) counters.bump('joined')
          isNew = false
        }
      } catch (error) {
        if (!(error instanceof DelosError || error instanceof ProcessEnded)) throw error
        if (error instanceof DelosError) counters.bump(`start failed: ${error.code}`)
        server.end()
      }
      await this.world.sleep(20 + random.fraction() * 200)
    }
  }

  private async enable(): Promise<void> {
    for (;;) {
      const life = this.servers.find(({ isUp }) => isUp)?.life
      const done = life?.stack.enable().then(
        () => true,
        (error: unknown) => {
          if (!(error instanceof DelosError)) throw error
          return false
        },
      )
      if ((await done) === true) return
      await this.world.sleep(50)
    }
  }

  private async suffer(server: TablesServer): Promise<void> {
    const { counters, random } = this.world
    const { life } = server
    if (life === undefined || !server.isUp) return
    if (random.chance(0.4)) {
      counters.bump('pause')
      life.pause.begin()
      await this.world.sleep(random.latency(5, 800))
      life.pause.end()
      return
    }
    if (this.isBuilding(life)) counters.bump('end while an index is built')
    this.load.ends++
    server.end()
  }

  private isBuilding({ store, database }: TablesLife): boolean {
    const reader = store.read()
    return database.tableNames().some((name) => {
      const table = database.table(name)
      return table.indexes.some(({ descriptor }) => readProgress(reader, table.id, descriptor.id) !== undefined)
    })
  }

  // ── what must be equal ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Each store is what the model says, wherever it stands. */
  private compare(): void {
    for (const { life } of this.servers) if (life !== undefined) checkStore(life.store.read(), this.model)
    this.world.counters.bump('contents compared')
  }

  /** All have everything, no index is on its way any more, and what had to end has ended. */
  private async converge(): Promise<void> {
    const { queue } = this.world
    const endMs = queue.nowMs + CONVERGE_MS
    const lives = this.servers.map(({ life }) => life as TablesLife)
    for (;;) {
      await Promise.allSettled(lives.map(({ stack }) => stack.sync()))
      const cursors = new Set(lives.map(({ store }) => Buffer.from(store.read().get(CURSOR_KEY) ?? []).toString('hex')))
      const { tables } = this.model.state
      const rows = [...tables.values()].flatMap((table) => [...table.rows.values()])
      const mortal = rows.filter(({ endsAt }) => endsAt !== 0).length
      const unbuilt = [...tables.values()].flatMap(({ indexes }) => indexes.filter(({ state }) => state === 'building'))
      if (cursors.size === 1 && mortal === 0 && unbuilt.length === 0) break
      const where = `${cursors.size} cursors, ${mortal} rows that should have ended, ${unbuilt.length} unbuilt indexes`
      check(queue.nowMs < endMs, `after ${CONVERGE_MS} calm ms there are ${where}`)
      await this.world.sleep(100)
    }
    this.compare()
  }

  private async checkDigests(): Promise<void> {
    const digests = await Promise.all(
      this.servers.map(async ({ life }) => JSON.stringify([...(await (life as TablesLife).store.digest())].toSorted())),
    )
    check(new Set(digests).size === 1, `the digests differ: ${digests.join(' ')}`)
    this.world.counters.bump('digests compared')
  }
}

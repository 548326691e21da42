// Shows that the simulator itself works: a tiny log on a simulated disk loses nothing that it acknowledged or let read, and
// loses something as soon as the disk only pretends to sync.

import { DelosError } from '../../base/delos-error.ts'
import { CALM, faultsWith } from '../faults.ts'
import type { SimServer } from '../sim-server.ts'
import type { Simulation } from '../simulation.ts'
import { check, type Workload } from '../workload.ts'
import { TinyLog } from './tiny-log.ts'

const LIVES_MIN = 7
const SHORT_RECORD_BYTES_MAX = 60
// More than a sector, so that a record can be torn in the middle.
const RECORD_BYTES_MAX = 700
const BATCH_MAX = 4

export const diskWorkload: Workload = {
  name: 'disk',
  summary: 'a tiny log on one disk: the simulator checks itself',
  finds: ['no-sync', 'no-dir-sync'],
  mustReach: [
    'crash',
    'kill',
    'torn tail',
    'unsynced bytes lost',
    'unsynced names lost',
    'disk full',
    'write failed',
    'sync failed',
  ],
  faults: (random) =>
    faultsWith({
      disk: {
        stallProbability: random.chance(0.5) ? 0.02 : 0,
        stallMsMax: 100,
        writeFailureProbability: random.chance(0.3) ? 0.002 : 0,
        syncFailureProbability: random.chance(0.3) ? 0.005 : 0,
      },
    }),
  run: (world, operations) => new DiskRun(world, operations).run(),
}

/** What the log must hold: every text that was ever given to it, up to what it may have lost. */
class DiskRun {
  private readonly world: Simulation
  private readonly server: SimServer
  private readonly operations: number
  private done = 0
  private readonly texts: string[] = []
  /** Texts below were acknowledged, or seen by a reader: they must stay. */
  private settled = 0

  constructor(world: Simulation, operations: number) {
    this.world = world
    this.operations = operations
    this.server = world.server('disk')
  }

  async run(): Promise<void> {
    const lives = LIVES_MIN + this.world.random.below(6)
    for (let life = 0; life < lives; life++) await this.live(Math.ceil((this.operations * (life + 1)) / lives))
    while (this.done < this.operations) await this.live(this.operations)
    this.world.faults = CALM
    this.server.boot()
    await this.recover()
  }

  /** One process: recovers, appends until `until` operations are done, and dies in the middle of one. */
  private async live(until: number): Promise<void> {
    this.server.boot()
    try {
      const log = await this.recover()
      while (this.done < until) await this.append(log)
      this.server.runtime.timers.after(this.world.random.fraction() * 3, () => this.die())
      while (this.server.running) await this.append(log)
    } catch (error) {
      // A process does not outlive its disk: whatever failed, it ends, and the next one recovers.
      if (!(error instanceof DelosError)) throw error
      if (this.server.running) this.die()
    }
  }

  private die(): void {
    if (this.world.random.chance(0.25)) this.server.kill()
    else this.server.crash()
  }

  private async recover(): Promise<TinyLog> {
    const { log, records, tornTail } = await TinyLog.open(this.server.runtime.disk, 'log')
    const { texts, settled, world } = this
    if (tornTail) world.counters.bump('torn tail')
    world.trace.note('recovered', records.length)
    check(
      records.length >= settled,
      `${settled} records were acknowledged or read, and only ${records.length} are there`,
    )
    const wrong = records.findIndex((record, index) => record !== texts[index])
    check(wrong === -1, `record ${wrong} is not the one that was written`)
    texts.length = records.length
    this.settled = records.length
    return log
  }

  private async append(log: TinyLog): Promise<void> {
    const { random } = this.world
    const batch = Array.from({ length: random.integer(1, BATCH_MAX) }, () => this.text())
    this.texts.push(...batch)
    if (random.chance(0.01)) this.fillDisk()
    for (;;) {
      try {
        await log.commit(batch)
        break
      } catch (error) {
        if (!(error instanceof DelosError && error.code === 'DISK_FULL')) throw error
        await this.world.sleep(10)
      }
    }
    // A process that died meanwhile acknowledges nothing.
    if (!this.server.running) return
    this.settled = this.texts.length
    this.done += batch.length
  }

  private text(): string {
    const { random } = this.world
    const length = random.integer(1, random.chance(0.2) ? RECORD_BYTES_MAX : SHORT_RECORD_BYTES_MAX)
    return `${this.texts.length}:${random.uint32()}:`.padEnd(length, String.fromCharCode(97 + random.below(26)))
  }

  private fillDisk(): void {
    const { fileSystem } = this.server
    fileSystem.capacityBytes -= fileSystem.freeBytes
    this.world.timers.after(this.world.random.fraction() * 50, () => {
      fileSystem.capacityBytes = this.world.faults.disk.capacityBytes
    })
  }
}

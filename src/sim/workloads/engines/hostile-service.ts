// The shared log of several simulated servers as a service in bad weather: memory loglets and a register that delay, reorder,
// store twice and lose answers, until `calm` is set. It outlives the servers; nothing of it crashes.

import type { LogletProvider } from '../../../log/loglet.ts'
import type { MetaStore } from '../../../log/metastore.ts'
import { HostileLogletProvider } from '../../../loglets/memory/hostile-loglet-provider.ts'
import { MemoryLogletProvider } from '../../../loglets/memory/memory-loglet-provider.ts'
import { MemoryMetaStore, MemoryRegister } from '../../../metastores/memory/memory-metastore.ts'
import type { Random } from '../../../runtime/runtime.ts'
import type { Life } from '../../life.ts'
import type { SeededRandom } from '../../seeded-random.ts'
import type { Simulation } from '../../simulation.ts'
import { SegmentEnds, WatchedLogletProvider, whileAlive } from '../log/watched-loglets.ts'

/** Loglets take no more in one piece: larger entries are chunked. */
const LOGLET_ENTRY_BYTES = 1_500

export class HostileService {
  /** Set: from now on nothing goes wrong, and nothing takes time. */
  calm = false
  private readonly register = new MemoryRegister()
  private readonly loglets: LogletProvider
  private readonly world: Simulation
  private readonly ends = new SegmentEnds()
  private readonly weather: Random

  constructor(world: Simulation) {
    this.world = world
    const random = world.random.fork('service')
    this.weather = this.weatherOf(random)
    const gapRate = random.pick([0, 0.1, 0.3])
    const inner = new MemoryLogletProvider({
      maxEntryBytes: LOGLET_ENTRY_BYTES,
      gap: () => (random.chance(gapRate) ? random.below(4) : 0),
      zombies: random.chance(0.5),
      wallMs: () => world.clock.wallMs(),
    })
    this.loglets = new HostileLogletProvider(inner, {
      random: this.weather,
      timers: world.timers,
      delayRate: random.pick([0.2, 0.5]),
      delayMsMax: random.pick([2, 10, 30]),
      duplicateRate: 0.03,
      indeterminateRate: 0.03,
    })
  }

  /** The loglets as one process sees them. */
  provider(life: Life): LogletProvider {
    return new WatchedLogletProvider(this.loglets, life, this.ends)
  }

  /** The metastore as one process sees it. */
  metastore(life: Life): MetaStore {
    const hostile = { random: this.weather, timers: this.world.timers, delayMsMax: 15, indeterminateRate: 0.05 }
    const store = new MemoryMetaStore(this.register, hostile)
    return {
      read: () => whileAlive(life, store.read()),
      write: (value, expected) => whileAlive(life, store.write(value, expected)),
      close: () => store.close(),
    }
  }

  // Whatever has a probability below 1 does not happen to whoever always draws the highest number.
  private weatherOf(random: SeededRandom): Random {
    return {
      uint32: () => (this.calm ? 0xffff_ffff : random.uint32()),
      bytes: (length) => random.bytes(length),
    }
  }
}

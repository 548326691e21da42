// The stack of one seed, as data: which engines, in which order, with which limits; the same on all servers of the seed. Whatever the
// neighbours' rules allow may come. Here a new engine joins the workload.

import type { EngineLevels, Membership } from '../../../engine/membership.ts'
import { requireNeighbours } from '../../../engine/neighbours.ts'
import type { EngineFactory } from '../../../engine/stack.ts'
import { batchingEngine } from '../../../engines/batching-engine.ts'
import { sessionOrderEngine } from '../../../engines/session-order/session-order-engine.ts'
import { VIEW_TRACKING, viewTrackingEngine } from '../../../engines/view-tracking/view-tracking-engine.ts'
import { batchSharesResult } from '../../planted-batch.ts'
import type { PlantedBug } from '../../planted-bugs.ts'
import { reusesEpoch } from '../../planted-epoch.ts'
import { reportsApplied } from '../../planted-report.ts'
import { countsStaleVotes } from '../../planted-vote.ts'
import type { SeededRandom } from '../../seeded-random.ts'
import type { Simulation } from '../../simulation.ts'
import { type TallyFault, tallyEngine } from './tally-engine.ts'
import { watchedTime } from './watched-time.ts'

export interface EnginePlan {
  /** Bottom to top, without Base. */
  readonly engines: readonly EngineFactory[]
  /** The database lets go of the log, as soon as ViewTracking knows all servers. */
  readonly releases: boolean
}

/** One that may be in a stack. */
interface Candidate {
  /** Of all stacks, this part has it. */
  readonly rate: number
  make(random: SeededRandom, planted: PlantedBug | undefined, bump: (counter: string) => void): EngineFactory
}

/** In the order of the product's stacks, bottom to top. */
const CANDIDATES: readonly Candidate[] = [
  { rate: 0.5, make: () => tallyEngine('tally-low') },
  {
    rate: 0.7,
    make: (random, planted) => {
      const heartbeatMs = random.pick([40, 100])
      const engine = viewTrackingEngine({ heartbeatMs, silentMs: heartbeatMs * random.pick([5, 8]) })
      return planted === 'trim-past-durable' ? reportsApplied(engine) : engine
    },
  },
  {
    rate: 0.6,
    make: (random, planted) => {
      const options = { proposalDeadlineMs: 4_000, gapMs: random.pick([10, 50]), outstandingCountMax: 60 }
      return planted === 'epoch-reused' ? reusesEpoch(options) : sessionOrderEngine(options)
    },
  },
  {
    rate: 0.8,
    make: (random, planted) => {
      const engine = batchingEngine({
        batchCountMax: random.pick([2, 7, 20]),
        waitingCountMax: 30,
        inFlightMax: random.pick([1, 1, 3]),
      })
      return planted === 'batch-shares-result' ? batchSharesResult(engine) : engine
    },
  },
  {
    rate: 0.6,
    make: (random, planted, bump) => {
      const options = { tickMs: random.pick([10, 25, 50]), votesInFlightMax: random.pick([1, 4, 1000]) }
      return planted === 'stale-vote' ? countsStaleVotes(options) : watchedTime(options, () => bump('vote void'))
    },
  },
  { rate: 0.5, make: () => tallyEngine('tally-high') },
]

/** `fault`: the only engine breaks the contract so, and all switches are its own. */
export function drawPlan(world: Simulation, fault?: TallyFault): EnginePlan {
  const { counters, planted } = world
  const random = world.random.fork('plan')
  const drawn = fault === undefined ? CANDIDATES.filter(({ rate }) => random.chance(rate)) : []
  const engines = drawn.map(({ make }) => make(random, planted, counters.bump))
  if (fault !== undefined) engines.push(tallyEngine('faulty', fault))
  // Half of the seeds have the product's order.
  const stack = random.chance(0.5) ? engines : shuffled(engines, random)
  return { engines: stack, releases: has(stack, VIEW_TRACKING) && random.chance(0.7) }
}

function has(engines: readonly EngineFactory[], wanted: string): boolean {
  return engines.some(({ name }) => name === wanted)
}

/** Some order that the rules allow. */
function shuffled(engines: readonly EngineFactory[], random: SeededRandom): readonly EngineFactory[] {
  for (let tries = 0; tries < 50; tries++) {
    const order = engines.map((engine) => ({ engine, at: random.fraction() }))
    const stack = order.sort((a, b) => a.at - b.at).map(({ engine }) => engine)
    if (isAllowed(stack)) return stack
  }
  return engines
}

function isAllowed(engines: readonly EngineFactory[]): boolean {
  const names = ['base', ...engines.map(({ name }) => name)]
  try {
    requireNeighbours(names, new Map(engines.map(({ name, neighbours }) => [name, neighbours])))
    return true
  } catch {
    // What it refuses is no stack; there is no other way to ask.
    return false
  }
}

/** All servers of the run, for as long as no engine knows better: the same on every server, as apply needs it. */
export function fixedMembership(servers: readonly string[], levels: EngineLevels): Membership {
  return {
    missing: (_tx, engine, level) => ((levels.get(engine) ?? -1) >= level ? [] : servers),
    members: () => servers,
  }
}

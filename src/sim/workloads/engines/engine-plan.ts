// The stack of one seed, as data: which engines, in which order, with which limits; the same on all servers of the seed. Whatever the
// neighbours' rules allow may come. Here a new engine joins the workload.

import type { EngineLevels, Membership } from '../../../engine/membership.ts'
import { requireNeighbours } from '../../../engine/neighbours.ts'
import type { EngineFactory } from '../../../engine/stack.ts'
import { batchingEngine } from '../../../engines/batching-engine.ts'
import { brainDoctorEngine } from '../../../engines/brain-doctor/brain-doctor-engine.ts'
import { leaseEngine } from '../../../engines/lease/lease-engine.ts'
import { logBackupEngine } from '../../../engines/log-backup/log-backup-engine.ts'
import type { BackupTarget } from '../../../engines/log-backup/log-backup-options.ts'
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

/** What engines need of the run. */
export interface PlanParts {
  bump(counter: string): void
  /** Of the process that this server runs now. */
  backupTarget(server: string): BackupTarget
}

/** One that may be in a stack. */
interface Candidate {
  /** Of all stacks, this part has it. */
  readonly rate: number
  make(random: SeededRandom, planted: PlantedBug | undefined, parts: PlanParts): EngineFactory
}

/** Clocks of a run may differ by a fifth each way: see the design of Lease. */
const MARGIN_SHARE = 0.5

/** In the order of the product's stacks, bottom to top. */
const CANDIDATES: readonly Candidate[] = [
  { rate: 0.5, make: () => tallyEngine('tally-low') },
  {
    rate: 0.4,
    make: (random, _planted, { backupTarget }) => {
      const options = {
        tickMs: 50,
        intervalMs: random.pick([100, 400]),
        segmentBytes: random.pick([500, 5_000]),
        snapshotBytes: random.pick([3_000, 30_000]),
        partBytes: 500,
        silentMs: random.pick([300, 1_500]),
        keepMs: random.pick([0, 500]),
        holdMs: random.pick([0, 1_000]),
      }
      const create: EngineFactory['create'] = (context) =>
        logBackupEngine({ ...options, target: backupTarget(context.serverId) }).create(context)
      return { ...logBackupEngine(), create }
    },
  },
  { rate: 0.5, make: () => brainDoctorEngine() },
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
    make: (random, planted, { bump }) => {
      const options = { tickMs: random.pick([10, 25, 50]), votesInFlightMax: random.pick([1, 4, 1000]) }
      return planted === 'stale-vote' ? countsStaleVotes(options) : watchedTime(options, () => bump('vote void'))
    },
  },
  { rate: 0.5, make: () => tallyEngine('tally-high') },
  {
    rate: 0.3,
    make: (random) => {
      const durationMs = random.pick([200, 600])
      return leaseEngine({ wants: true, durationMs, marginMs: durationMs * MARGIN_SHARE })
    },
  },
]

/** `fault`: the only engine breaks the contract so, and all switches are its own. */
export function drawPlan({ planted, random: all }: Simulation, parts: PlanParts, fault?: TallyFault): EnginePlan {
  const random = all.fork('plan')
  const drawn = fault === undefined ? CANDIDATES.filter(({ rate }) => random.chance(rate)) : []
  const engines = drawn.map(({ make }) => make(random, planted, parts))
  if (fault !== undefined) engines.push(tallyEngine('faulty', fault))
  // Half of the seeds have the product's order.
  const stack = random.chance(0.5) ? engines : shuffled(engines, random)
  return { engines: stack, releases: has(stack, VIEW_TRACKING) && random.chance(0.7) }
}

function has(engines: readonly EngineFactory[], wanted: string): boolean {
  return engines.some(({ name }) => name === wanted)
}

/** Some order that the rules allow: many neighbours have changed places. */
function shuffled(engines: readonly EngineFactory[], random: SeededRandom): readonly EngineFactory[] {
  let stack = engines
  for (let swaps = 6 * engines.length; swaps > 0 && engines.length > 1; swaps--) {
    const at = random.below(engines.length - 1)
    const pair = stack.slice(at, at + 2).toReversed()
    const next = [...stack.slice(0, at), ...pair, ...stack.slice(at + 2)]
    if (isAllowed(next)) stack = next
  }
  return stack
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

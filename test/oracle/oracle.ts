// Drives both servers through the same steps and compares what they show; finds the fewest steps that still show a difference.

import { createHash } from 'node:crypto'
import { SeededRandom } from '../support/seeded-random.ts'
import type { AllowedDifference } from './allowed.ts'
import { Comparer, type Order, type SlotDifference } from './compare.ts'
import { Coverage } from './coverage.ts'
import { Generator } from './generator.ts'
import { Side } from './side.ts'
import { type Request, roundPath, type Step } from './steps.ts'
import { runThrottled, type Throttled } from './throttled.ts'
import { unprovenSteps } from './unproven.ts'

export interface Found {
  readonly round: number
  readonly steps: readonly Step[]
  readonly differences: readonly SlotDifference[]
}

const ROUND_OPERATIONS = 1_500
/** One round in so many is short and has a quota. */
const QUOTA_EVERY = 8
const QUOTA_OPERATIONS = 400
/** One in so many lets a session expire at its end. */
const EXPIRY_EVERY = 5
const STEPS_SHOWN = Number(process.env.DELOS_ORACLE_STEPS ?? 20)
const SHRINK_RUNS_MAX = Number(process.env.DELOS_ORACLE_RUNS ?? 200)
const SHRINK_MS_MAX = 30_000
const FIRST_ROUND = Number(process.env.DELOS_ORACLE_ROUND ?? 0)

export class Oracle {
  readonly coverage: Coverage
  readonly allowed = new Map<AllowedDifference, number>()
  private readonly ports: { readonly reference: number; readonly ours: number }
  private rounds = 0

  constructor(ports: { readonly reference: number; readonly ours: number }, coverage = new Coverage()) {
    this.ports = ports
    this.coverage = coverage
  }

  /** Of servers that enforce authentication, so many sessions; as far as the first that shows a difference. */
  async runUnproven(seed: number, sessions: number): Promise<Found | undefined> {
    const random = new SeededRandom(seed)
    await using pair = new Pair(this.ports, this.rounds++, this.allowed)
    pair.hasBarriers = false
    for (let slot = 0; slot < sessions; slot++) {
      const steps = unprovenSteps(random, slot)
      for (const [index, step] of steps.entries()) {
        const differences = await pair.run(step, (seen) => this.coverage.add(seen))
        if (differences.length > 0) return { round: slot, steps: steps.slice(0, index + 1), differences }
      }
    }
    return undefined
  }

  /** Of servers that throttle requests. */
  async runThrottled(seed: number): Promise<{ readonly reference: Throttled; readonly ours: Throttled }> {
    await using pair = new Pair(this.ports, this.rounds++, this.allowed)
    return await pair.runThrottled(seed, this.coverage)
  }

  /** Rounds until so many operations were compared; a round ends where it finds a difference. */
  async run(seed: number, operations: number, foundMax: number): Promise<Found[]> {
    const found: Found[] = []
    const base = seed * 1_000
    for (let round = FIRST_ROUND; this.coverage.operations < operations && found.length < foundMax; round++) {
      const one = await this.round(new SeededRandom(base + round), round)
      if (one !== undefined) found.push(one)
    }
    return found
  }

  private async round(random: SeededRandom, round: number): Promise<Found | undefined> {
    await using pair = new Pair(this.ports, this.rounds++, this.allowed)
    const hasQuota = round % QUOTA_EVERY === 0
    const generator = new Generator(random, pair.root, hasQuota, DIGESTS)
    const steps: Step[] = []
    const step = async (next: Step): Promise<Found | undefined> => {
      steps.push(next)
      const differences = await pair.run(next, (seen) => {
        this.coverage.add(seen)
        generator.learn(next, seen)
      })
      return differences.length === 0 ? undefined : { round, steps, differences }
    }
    const until = this.coverage.operations + (hasQuota ? QUOTA_OPERATIONS : ROUND_OPERATIONS)
    while ((this.coverage.operations < until || generator.mustGoOn) && !pair.hasDiverged) {
      const found = await step(generator.next())
      if (found !== undefined) return found
    }
    const last = [...(round % EXPIRY_EVERY === 0 ? generator.expiry() : []), ...generator.inventory()]
    for (const next of last) {
      if (pair.hasDiverged) break
      const found = await step(next)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Repeats the steps in a round of their own, as far as the first that shows a difference. */
  async replay(steps: readonly Step[]): Promise<Pick<Found, 'steps' | 'differences'>> {
    await using pair = new Pair(this.ports, this.rounds++, new Map())
    for (const [index, step] of steps.entries()) {
      const differences = await pair.run(step)
      if (differences.length > 0 || pair.hasDiverged) return { steps: steps.slice(0, index + 1), differences }
    }
    return { steps, differences: [] }
  }

  /** The fewest steps and requests found that still end in a difference in the same field. */
  async shrink(found: Found): Promise<Found> {
    let best = { steps: found.steps, differences: found.differences }
    let runs = 0
    const deadline = performance.now() + SHRINK_MS_MAX
    const attempt = async (steps: readonly Step[]): Promise<boolean> => {
      if (runs++ > SHRINK_RUNS_MAX || performance.now() > deadline) return false
      const again = await this.replay(steps)
      const { differences } = again
      if (nameOf(differences[0]) !== nameOf(found.differences[0])) return false
      best = again
      return true
    }
    await reduce(best.steps, attempt)
    const single = singled(best.steps)
    if (await attempt(single)) await reduce(single, attempt)
    else await this.thin(() => best.steps, attempt)
    return { round: found.round, ...best }
  }

  /** Leaves out single requests of steps whose requests must be sent together. */
  private async thin(
    current: () => readonly Step[],
    attempt: (steps: readonly Step[]) => Promise<boolean>,
  ): Promise<void> {
    for (let at = current().length - 1; at >= 0; at--) {
      const { requests } = current()[at] as { requests?: readonly Request[] }
      for (let index = (requests?.length ?? 0) - 1; index >= 0; index--) {
        const step = current()[at]
        if (step?.do !== 'ask' || step.requests.length === 1) break
        const less = { ...step, requests: step.requests.filter((_, other) => other !== index) }
        await attempt(current().with(at, less))
      }
    }
  }
}

async function reduce(steps: readonly Step[], attempt: (steps: readonly Step[]) => Promise<boolean>): Promise<void> {
  let current = steps
  for (let size = Math.ceil(current.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = current.length - size; at > -size; at -= size) {
      const less = [...current.slice(0, Math.max(0, at)), ...current.slice(at + size)]
      if (less.length > 0 && less.length < current.length && (await attempt(less))) current = less
    }
  }
}

/** The same with one request in each step. */
function singled(steps: readonly Step[]): Step[] {
  return steps.flatMap((step): Step[] =>
    step.do === 'ask' ? step.requests.map((request) => ({ ...step, requests: [request] })) : [step],
  )
}

/** Of the field, and what of a kind was there. */
function nameOf(difference: SlotDifference | undefined): string {
  const { path = '', reference, ours } = difference ?? {}
  return path === 'kind' ? `${path} ${reference} ${ours}` : path.slice(path.lastIndexOf('.') + 1)
}

function opsOf(step: Step): ReadonlySet<string> {
  return new Set(
    step.do === 'ask' ? step.requests.map(({ op, opcode }) => (opcode === undefined ? op : 'unknown')) : [],
  )
}

function orderOf(step: Step): Order {
  if (step.do === 'expire') return 'any'
  if (step.do === 'ask' && step.requests.some(({ op }) => op === 'closeSession')) return 'any'
  return step.do === 'ask' && step.requests.length === 1 ? 'alone' : 'pipelined'
}

/** Both servers during one round. */
class Pair implements AsyncDisposable {
  readonly root: string
  private readonly reference: Side
  private readonly ours: Side
  private readonly comparer: Comparer

  constructor(
    ports: { readonly reference: number; readonly ours: number },
    round: number,
    allowed: Map<AllowedDifference, number>,
  ) {
    this.root = roundPath(round)
    this.reference = new Side('ZooKeeper', ports.reference)
    this.ours = new Side('Zelos', ports.ours)
    for (const side of [this.reference, this.ours]) side.root = this.root
    this.comparer = new Comparer(allowed)
  }

  /** Whether connections are pinged after each step. */
  set hasBarriers(has: boolean) {
    for (const side of [this.reference, this.ours]) side.hasBarriers = has
  }

  get hasDiverged(): boolean {
    return this.comparer.hasDiverged
  }

  async run(
    step: Step,
    learn: (seen: Awaited<ReturnType<Side['run']>>) => void = () => undefined,
  ): Promise<SlotDifference[]> {
    const [reference, ours] = await Promise.all([this.reference.run(step), this.ours.run(step)])
    learn(reference)
    return this.comparer.compare(reference, ours, orderOf(step), opsOf(step))
  }

  /** One after the other: each is late by itself. */
  async runThrottled(seed: number, coverage: Coverage): Promise<{ reference: Throttled; ours: Throttled }> {
    const reference = await runThrottled(this.reference, new SeededRandom(seed), coverage)
    return { reference, ours: await runThrottled(this.ours, new SeededRandom(seed)) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reference.close()
    this.ours.close()
  }
}

const DIGESTS = ['amy:one', 'ben:two', 'cid:three'].map((user) => {
  const hash = createHash('sha1').update(user).digest('base64')
  return `${user.slice(0, user.indexOf(':'))}:${hash}`
})

/** For a person: the steps, and what differs after the last of them. */
export function explain(found: Found): string {
  const print = (value: unknown): string =>
    JSON.stringify(value, (_, field) => (typeof field === 'bigint' ? `${field}` : field))
  const differences = found.differences.slice(0, 6).map((difference) => {
    const { slot, index, path, reference, ours, seen } = difference
    return [
      `  slot ${slot}, ${index}: ${path}: ZooKeeper ${print(reference)}, Zelos ${print(ours)}`,
      `    ZooKeeper ${print(seen.reference)?.slice(0, 700)}`,
      `    Zelos     ${print(seen.ours)?.slice(0, 700)}`,
    ].join('\n')
  })
  return [
    `round ${found.round}, ${found.steps.length} steps:`,
    ...found.steps.slice(-STEPS_SHOWN).map((step) => `  ${print(step)}`),
    ...differences,
  ].join('\n')
}

// `npm run sim`: runs workloads under seeds and says what failed and how to see it again.
// Exit codes: 0 nothing failed, 1 something did, 2 usage.

import { parseArgs } from 'node:util'
import { Counters } from './counters.ts'
import { PLANTED_BUGS, type PlantedBug, plantedBug } from './planted-bugs.ts'
import { runSeed, type SeedResult } from './run-seed.ts'
import { OPERATIONS, operationsOf, type Workload } from './workload.ts'
import { WORKLOADS } from './workloads.ts'

// With fewer seeds than this, a rare branch may honestly not have been reached.
const SEEDS_FOR_COUNTERS = 100

interface Arguments {
  readonly firstSeed: number
  readonly seeds: number
  /** undefined: what each workload is meant for. */
  readonly operations: number | undefined
  readonly workloads: readonly Workload[]
  readonly planted: PlantedBug | undefined
}

class UsageError extends Error {
  override readonly name = 'UsageError'
}

function usage(): string {
  const workloads = [...WORKLOADS.values()].map(({ name, summary }) => `  ${name.padEnd(22)}${summary}`)
  const bugs = Object.entries(PLANTED_BUGS).map(([name, meaning]) => `  ${name.padEnd(22)}${meaning}`)
  return [
    'usage: npm run sim -- [--seed N] [--seeds K] [--workload NAME] [--break NAME] [--operations N]',
    '',
    'Runs workloads in a simulated world. The same seed gives the same run. Default: seed 1, one seed, every workload',
    `(with --break those that must find the bug), ${OPERATIONS} operations or what the workload is meant for.`,
    '',
    'workloads',
    ...workloads,
    '',
    'bugs to plant',
    ...bugs,
  ].join('\n')
}

function parse(argv: readonly string[]): Arguments | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      workload: { type: 'string' },
      break: { type: 'string' },
      operations: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return 'help'
  const planted = values.break === undefined ? undefined : plantedBug(values.break)
  if (values.break !== undefined && planted === undefined) throw new UsageError(`no bug ${values.break} to plant`)
  return {
    firstSeed: integer('--seed', values.seed, 1, 0),
    seeds: integer('--seeds', values.seeds, 1, 1),
    operations: values.operations === undefined ? undefined : integer('--operations', values.operations, OPERATIONS, 1),
    workloads: chosen(values.workload, planted),
    planted,
  }
}

function integer(option: string, text: string | undefined, otherwise: number, min: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isSafeInteger(value) || value < min)
    throw new UsageError(`${option} ${text}: an integer of at least ${min}`)
  return value
}

function chosen(name: string | undefined, planted: PlantedBug | undefined): Workload[] {
  if (name !== undefined) {
    const workload = WORKLOADS.get(name)
    if (workload === undefined) throw new UsageError(`no workload ${name}`)
    return [workload]
  }
  const all = [...WORKLOADS.values()]
  if (planted === undefined) return all
  const able = all.filter(({ finds }) => finds.includes(planted))
  if (able.length === 0) throw new UsageError(`no workload finds ${planted}`)
  return able
}

/** Runs one workload under all seeds, up to the first that fails. True if none did. */
async function runWorkload(workload: Workload, options: Arguments): Promise<boolean> {
  const { firstSeed, seeds, planted } = options
  const { operations = operationsOf(workload) } = options
  const sum = new Counters()
  let events = 0
  const startMs = performance.now()
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const result = await runSeed(workload, { seed, operations, planted })
    sum.add(result.counters)
    events += result.events
    if (seeds === 1 || result.failure) console.log(line(workload, result))
    if (result.failure) {
      console.error(failureText(workload, result, options))
      return false
    }
  }
  const seconds = (performance.now() - startMs) / 1000
  console.log(`${workload.name}: ${seeds} seeds, ${events} events in ${seconds.toFixed(1)} s`)
  for (const [name, count] of sum.entries()) console.log(`  ${name.padEnd(30)}${count}`)
  const missed = seeds >= SEEDS_FOR_COUNTERS && planted === undefined ? sum.requireAll(workload.mustReach) : []
  for (const name of missed) console.error(`${workload.name}: never reached: ${name}`)
  return missed.length === 0
}

function line(workload: Workload, { seed, hash, events, virtualMs }: SeedResult): string {
  return `${workload.name} seed ${seed}: trace ${hash}, ${events} events, ${(virtualMs / 1000).toFixed(1)} virtual s`
}

function failureText(workload: Workload, result: SeedResult, { operations, planted }: Arguments): string {
  const again = ['npm run sim --', `--seed ${result.seed}`, `--workload ${workload.name}`]
  if (planted !== undefined) again.push(`--break ${planted}`)
  if (operations !== undefined) again.push(`--operations ${operations}`)
  return [
    `FAILED: ${workload.name}, seed ${result.seed}`,
    result.failure?.stack ?? '',
    'the last that happened:',
    ...result.tail.map((note) => `  ${note}`),
    `replay: ${again.join(' ')}`,
  ].join('\n')
}

/** The command; resolves with its exit code. */
async function main(argv: readonly string[]): Promise<number> {
  try {
    const options = parse(argv)
    if (options === 'help') {
      console.log(usage())
      return 0
    }
    let good = true
    for (const workload of options.workloads) good = (await runWorkload(workload, options)) && good
    if (good && options.planted !== undefined) console.log(`${options.planted}: not found`)
    return good ? 0 : 1
  } catch (error) {
    if (!(error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS'))) throw error
    console.error(`${(error as Error).message}\n\n${usage()}`)
    return 2
  }
}

process.exitCode = await main(process.argv.slice(2))

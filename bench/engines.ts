// What the engines cost and bring: the full Zelos stack beside Base and Batching alone through real sockets, Batching beside
// nothing over a slow log, and the utilisation of apply at a given load. Decides what runs in which order.
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  addedLatency,
  checkEngineFloors,
  type InProcessFigures,
  MANY,
  ONE,
  type PacedFigures,
  type SocketSample,
  STACKS,
  type StackName,
} from './engines-figures.ts'
import { type EnginesReport, enginesForPeople, enginesForPrograms, enginesForTheRepository } from './engines-report.ts'
import { readStack, type StackShare } from './engines-stack.ts'
import { buildGenerator, type LatencyPair, runLoad, runPairs } from './load.ts'
import { describeMachine, isInMemory, watchForeignLoad } from './machine.ts'
import { paths } from './paths.ts'
import { createPeers, type Server, type StartServer, startFlags, useServer } from './peers.ts'
import { BenchFailure, discard, runToEnd, scratchDirectory } from './processes.ts'
import { writePart } from './results-file.ts'
import { UsageError } from './usage-error.ts'
import { WORKLOADS, type Workload, workloadName } from './workloads.ts'
import { warnIfStale } from './zookeeper.ts'

export const USAGE = `npm run bench -- engines [flags]

  --check              exit 1 if a stated floor does not hold
  --quick              1 round of 2 s instead of 3 of 3 s: under 1 minute instead of under 4
  --only LIST          of stacks, batching, utilisation
  --write              write the engines' part of bench/RESULTS.md
  --work-dir DIR       where servers keep their data (build/); must be on a real disk
`

const PARTS = ['stacks', 'batching', 'utilisation'] as const
type Part = (typeof PARTS)[number]

type Options = {
  readonly parts: readonly Part[]
  readonly rounds: number
  /** For one request at a time: fresh servers, and pairs of each of these. */
  readonly starts: number
  readonly pairs: number
  readonly seconds: number
  readonly warmSeconds: number
  readonly check: boolean
  readonly write: boolean
  readonly workDirectory: string
}

type Run = {
  readonly options: Options
  readonly generator: string
  readonly pairsGenerator: string
  readonly directory: string
  readonly start: StartServer
  foreignShareMax: number
  version: string
}

const KEYS = 10_000
const ONE_KEYS = 100
/** A pair is about 0.3 s: 25 turns of each server with 10 counted requests. */
const PAIR = { turns: 25, requests: 10, keys: ONE_KEYS } as const
/** Away from the first, where most systems handle their interrupts. */
const ONE_PROCESSOR = ['taskset', '--cpu-list', String(cpus().length - 1)]
const PAUSE_MS = 300
const PACED_PER_SECOND = 10_000
/** As long as the Observers look back. */
const PACED_SECONDS = 10
const IN_PROCESS_MS_MAX = 120_000

/** Returns the exit code: 0, or 1 if `--check` was given and a floor does not hold. */
export async function benchEngines(args: readonly string[]): Promise<number> {
  const options = parsed(args)
  warnIfStale()
  const directory = scratchDirectory(options.workDirectory, 'bench')
  if (isInMemory(directory)) {
    throw new BenchFailure(`${options.workDirectory} is in memory, where a sync costs nothing: --work-dir`)
  }
  const { delos: start } = createPeers({ server: join(paths.build, 'bench/engines-server.js'), zookeeperClasspath: '' })
  const generators = { generator: await buildGenerator(), pairsGenerator: await buildGenerator('zkpairs') }
  const run: Run = { ...generators, options, directory, start, foreignShareMax: 0, version: '' }
  const report = await measureAll(run)
  discard(directory)
  process.stdout.write(`${enginesForPeople(report)}\n\n`)
  if (options.write) writePart(paths.results, 'engines', enginesForTheRepository(report))
  const broken = report.floors.filter(({ holds }) => holds === false)
  if (options.check) for (const { name } of broken) progress(`floor does not hold: ${name}`)
  process.stdout.write(`${enginesForPrograms(report)}\n`)
  return options.check && broken.length > 0 ? 1 : 0
}

function parsed(args: readonly string[]): Options {
  const flag = { type: 'boolean', default: false } as const
  const word = { type: 'string' } as const
  const options = { check: flag, quick: flag, write: flag, only: word, 'work-dir': word }
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values']
  try {
    values = parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  const words = values.only?.split(',') ?? PARTS
  const unknown = words.find((one) => !PARTS.some((part) => part === one))
  if (unknown !== undefined) throw new UsageError(`--only: there is no part ${unknown}`)
  if (values.write && values.only !== undefined) throw new UsageError('--write needs a complete run: no --only')
  return {
    parts: PARTS.filter((part) => words.includes(part)),
    rounds: values.quick ? 1 : 3,
    starts: values.quick ? 1 : 6,
    pairs: 20,
    seconds: values.quick ? 2 : 3,
    warmSeconds: values.quick ? 3 : 6,
    check: values.check,
    write: values.write,
    workDirectory: resolve(values['work-dir'] ?? paths.build),
  }
}

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

async function measureAll(run: Run): Promise<EnginesReport> {
  const { options } = run
  const machine = describeMachine(run.directory)
  const samples: SocketSample[] = []
  let shares: readonly StackShare[] = []
  let paced: PacedFigures | undefined
  const rounds = options.parts.includes('stacks') ? options.rounds : 0
  for (let round = 0; round < rounds; round++) {
    // Whoever went first goes second in the next round, so that a drift of the machine favours neither.
    for (const stack of round % 2 === 0 ? STACKS : STACKS.toReversed()) {
      await withServer(run, stack, async (server) => {
        progress(`round ${round + 1} of ${rounds}: ${stack} stack`)
        samples.push(await measureLoad(run, server, stack))
        if (stack === 'full') shares = (await readStack(apiOf(server))).shares
      })
    }
  }
  const pairs = rounds > 0 ? await measurePairs(run) : []
  if (options.parts.includes('utilisation')) {
    await withServer(run, 'full', async (server) => {
      progress(`${PACED_PER_SECOND} sets a second for ${PACED_SECONDS} s`)
      paced = await measurePaced(run, server)
    })
  }
  const inProcess = options.parts.includes('batching') ? await measureInProcess(run) : undefined
  const figures = { samples, pairs, shares, paced, inProcess }
  const { rounds: stated, starts, pairs: pairsOfEach, seconds, warmSeconds } = options
  return {
    ...figures,
    parameters: { rounds: stated, starts, pairs: pairsOfEach, seconds, warmSeconds },
    machine,
    version: run.version,
    floors: checkEngineFloors(figures),
    foreignShareMax: run.foreignShareMax,
  }
}

async function withServer(
  run: Run,
  stack: StackName,
  use: (server: Server) => Promise<void>,
  wrapper: readonly string[] = [],
): Promise<void> {
  const { directory: parent, start } = run
  await useServer(start, { parent, wrapper, flags: ['--stack', stack] }, async (server) => {
    run.version = server.version
    await warmUp(run, server)
    const foreign = watchForeignLoad(server.pid)
    await use(server)
    // The loops that keep processors awake beside bound servers are nobody else's.
    if (wrapper.length === 0) run.foreignShareMax = Math.max(run.foreignShareMax, foreign())
  })
}

function workload(name: string): Workload {
  const found = WORKLOADS.find((one) => workloadName(one) === name)
  if (found === undefined) throw new Error(`there is no workload ${name}`)
  return found
}

async function warmUp({ generator, options }: Run, server: Server): Promise<void> {
  const [many, one] = [Math.round(options.warmSeconds * 0.6), Math.round(options.warmSeconds * 0.4)]
  await runLoad(generator, server.address, { workload: workload(MANY), seconds: Math.max(1, many - 1), keys: KEYS })
  await runLoad(generator, server.address, { workload: workload(ONE), seconds: Math.max(1, one - 1), keys: ONE_KEYS })
}

async function measureLoad({ generator, options }: Run, server: Server, stack: StackName): Promise<SocketSample> {
  await sleep(PAUSE_MS)
  const load = { workload: workload(MANY), seconds: options.seconds, keys: KEYS }
  const { opsPerSecond, p50Us, p99Us } = await runLoad(generator, server.address, load)
  progress(`${stack}: ${MANY}: ${opsPerSecond}/s, p50 ${p50Us} µs, p99 ${p99Us} µs`)
  return { stack, workload: MANY, opsPerSecond, p50Us, p99Us }
}

/**
 * One request at a time, where a few microseconds count and a disk drifts by tens: both servers run, and are asked in turn every
 * few milliseconds. Servers anew a few times, and the other one started first: two that are alike differ by where their code
 * and data happened to come to lie. Both are bound to one processor: whether the system keeps the thread that syncs beside the
 * one that waits for it or puts it on another decides about 15 µs each way, and differs from start to start.
 */
async function measurePairs(run: Run): Promise<LatencyPair[]> {
  const { pairsGenerator } = run
  const { pairs, starts } = run.options
  const all: LatencyPair[] = []
  for (let start = 0; start < starts; start++) {
    const [one, other] = start % 2 === 0 ? (['full', 'bare'] as const) : (['bare', 'full'] as const)
    await withServer(
      run,
      one,
      (first) =>
        withServer(
          run,
          other,
          async (second) => {
            const [full, bare] = one === 'full' ? [first, second] : [second, first]
            const addresses = [full.address, bare.address] as const
            await runPairs(pairsGenerator, addresses, { ...PAIR, pairs: Math.ceil(pairs / 4) })
            const measured = await runPairs(pairsGenerator, addresses, { ...PAIR, pairs })
            const added = addedLatency(measured)?.median.toFixed(1)
            progress(`${ONE}, start ${start + 1} of ${starts}: the full stack takes ${added} µs more`)
            all.push(...measured)
          },
          ONE_PROCESSOR,
        ),
      ONE_PROCESSOR,
    )
  }
  return all
}

async function measurePaced({ generator }: Run, server: Server): Promise<PacedFigures> {
  const load = { workload: workload(MANY), seconds: PACED_SECONDS, keys: KEYS, rate: PACED_PER_SECOND }
  const { opsPerSecond, p50Us, p99Us } = await runLoad(generator, server.address, load)
  const { applyUtilisation, shares } = await readStack(apiOf(server))
  return { wantedPerSecond: PACED_PER_SECOND, opsPerSecond, p50Us, p99Us, applyUtilisation, shares }
}

function apiOf(server: Server): string {
  if (server.api === undefined) throw new BenchFailure('the server has no HTTP API')
  return server.api
}

async function measureInProcess({ directory, options }: Run): Promise<InProcessFigures> {
  progress('Batching over a slow log, and over the file loglet')
  const program = join(paths.build, 'bench/engines-load.js')
  const seconds = options.rounds > 1 ? 1 : 0.5
  const args = [...startFlags(), program, join(directory, 'in-process'), String(seconds)]
  const { code, stdout, stderr } = await runToEnd(process.execPath, args, IN_PROCESS_MS_MAX)
  if (code !== 0) throw new BenchFailure(`the load in this process failed: ${stderr.trim().slice(-2000)}`)
  return JSON.parse(stdout) as InProcessFigures
}

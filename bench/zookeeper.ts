// The comparison with a real ZooKeeper: same machine, same file system, same load, one server after the other. Decides
// what runs in which order; how a server is started or a figure taken is the business of the modules beside it.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { compare, type Sample } from './comparison.ts'
import { checkFloors } from './floors.ts'
import { buildGenerator, runLoad } from './load.ts'
import { describeMachine, isInMemory } from './machine.ts'
import { type Measurement, measure } from './measure.ts'
import { paths } from './paths.ts'
import { createPeers, type PeerName, type Peers, type Server, useServer } from './peers.ts'
import { BenchFailure, discard, scratchDirectory } from './processes.ts'
import { forPeople, forPrograms, forTheRepository, type Report } from './report.ts'
import { writePart } from './results-file.ts'
import { type TracedSyncs, traceSyncs, whyNotTraceable } from './sync-trace.ts'
import { keysFor, warmUp, workloadName } from './workloads.ts'
import { parseOptions, type ZookeeperOptions } from './zookeeper-options.ts'

/** Between two workloads, so that the answers to the last one are out of the way. */
const PAUSE_MS = 300

type Run = {
  readonly options: ZookeeperOptions
  readonly peers: Peers
  readonly generator: string
  /** Holds a directory for each server that is started. */
  readonly directory: string
}

/** Returns the exit code: 0, or 1 if `--check` was given and a floor does not hold. */
export async function benchZookeeper(args: readonly string[]): Promise<number> {
  const options = parseOptions(args)
  if (options.server === paths.server) warnIfStale()
  const directory = scratchDirectory(options.workDirectory, 'bench')
  if (isInMemory(directory))
    throw new BenchFailure(`${options.workDirectory} is in memory, where a sync costs nothing: --work-dir`)
  const run: Run = { options, peers: createPeers(options), generator: await buildGenerator(), directory }
  const report = await measureAll(run)
  discard(directory)

  process.stdout.write(`${forPeople(report)}\n\n`)
  if (options.write) writePart(paths.results, 'zookeeper', forTheRepository(report))
  const broken = report.floors.filter(({ holds }) => holds === false)
  if (options.check) {
    for (const { workload, figure } of broken) progress(`floor does not hold: ${workload} ${figure}`)
  }
  process.stdout.write(`${forPrograms(report)}\n`)
  return options.check && broken.length > 0 ? 1 : 0
}

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

export function warnIfStale(): void {
  const built = statSync(paths.server, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY
  const sources = readdirSync(paths.sources, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(?<!\.test)\.ts$/.test(name),
  )
  if (sources.some((name) => statSync(join(paths.sources, name)).mtimeMs > built)) {
    progress('warning: dist/ is older than src/: `npm run build`, or the figures are those of older code')
  }
}

async function measureAll(run: Run): Promise<Report> {
  const { options } = run
  const machine = describeMachine(run.directory)
  const versions: Partial<Record<PeerName, string>> = {}
  const samples: Sample[] = []
  for (let round = 0; round < options.rounds; round++) {
    // Whoever went first goes second in the next round, so that a drift of the machine favours neither.
    const order = round % 2 === 0 ? options.peers : [...options.peers].reverse()
    for (const peer of order) {
      await useServer(run.peers[peer], { parent: run.directory, wrapper: [] }, async (server) => {
        versions[peer] = server.version
        samples.push(...(await measureRound(run, peer, server, round)))
      })
    }
  }
  const comparisons = compare(samples)
  const { rounds, seconds, warmSeconds, keys } = options
  return {
    benchmark: 'zookeeper',
    parameters: { rounds, seconds, warmSeconds, keys, workloads: options.workloads.map(workloadName).join(',') },
    machine,
    versions,
    comparisons,
    tracedSyncs: await countSyncs(run),
    floors: checkFloors(comparisons),
    foreignShareMax: Math.max(...samples.map(({ measurement }) => measurement.foreignShare)),
  }
}

async function measureRound(run: Run, peer: PeerName, server: Server, round: number): Promise<readonly Sample[]> {
  const { options, generator } = run
  progress(`round ${round + 1} of ${options.rounds}: ${peer}: warming up`)
  for (const { workload, seconds } of warmUp(options.warmSeconds)) {
    await runLoad(generator, server.address, { workload, seconds, keys: keysFor(workload, options.keys) })
  }
  const samples: Sample[] = []
  for (const workload of options.workloads) {
    await sleep(PAUSE_MS)
    const load = { workload, seconds: options.seconds, keys: keysFor(workload, options.keys) }
    const measurement = await measure(generator, server, load)
    progress(`round ${round + 1}: ${peer}: ${workloadName(workload)}: ${inBrief(measurement)}`)
    samples.push({ workload, peer, measurement })
  }
  return samples
}

function inBrief({ opsPerSecond, p50Us, p99Us, foreignShare }: Measurement): string {
  return `${opsPerSecond}/s, p50 ${p50Us} µs, p99 ${p99Us} µs; others ${(foreignShare * 100).toFixed(0)} %`
}

async function countSyncs({ options, peers, generator, directory }: Run): Promise<Report['tracedSyncs']> {
  if (!options.traceSyncs) return { skipped: 'turned off' }
  const obstacle = await whyNotTraceable(directory)
  if (obstacle !== undefined) return { skipped: obstacle }
  const traced: TracedSyncs[] = []
  for (const peer of options.peers) {
    progress(`counting sync calls: ${peer}`)
    traced.push(...(await traceSyncs(peer, peers[peer], generator, directory, options.workloads)))
  }
  return traced
}

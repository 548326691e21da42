// Builds and runs the load generators on the loopback interface, always bounded in time: zkblast.c against one server, zkpairs.c
// against two in turn.
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { paths } from './paths.ts'
import { BenchFailure, isNotFound, runToEnd } from './processes.ts'
import { VALUE_BYTES, type Workload, workloadName } from './workloads.ts'

export type LoadFigures = {
  readonly opsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

/** The generator keeps every latency of a run in memory; this bounds how many there can be. */
export const SECONDS_MAX = 20

const COMPILE_MS_MAX = 60_000
/** For laying out the keys before, and for the generator's own wait for late answers (20 s) after the counted seconds. */
const OUTSIDE_COUNTED_MS_MAX = 60_000
const PAIRS_MS_MAX = 120_000

/** Compiles a generator if there is none yet, or an older one. Returns its path. */
export async function buildGenerator(name: 'zkblast' | 'zkpairs' = 'zkblast'): Promise<string> {
  const source = join(paths.programs, `${name}.c`)
  const binary = join(paths.build, 'bench', name)
  if (existsSync(binary) && statSync(binary).mtimeMs >= statSync(source).mtimeMs) return binary
  mkdirSync(join(paths.build, 'bench'), { recursive: true })
  const compiled = await runToEnd('cc', ['-O2', '-o', binary, source], COMPILE_MS_MAX).catch((error) => {
    if (isNotFound(error))
      throw new BenchFailure('no C compiler: `cc` is needed for the load generator (Debian: gcc, libc6-dev)')
    throw error
  })
  if (compiled.code !== 0) throw new BenchFailure(`cc failed on ${name}.c: ${compiled.stderr.trim()}`)
  return binary
}

export type Load = {
  readonly workload: Workload
  /** Counted; one more second goes before it uncounted. */
  readonly seconds: number
  readonly keys: number
  /** Requests a second in all; absent: as many as are answered. Such a generator gives way to the server: it runs at lowest priority. */
  readonly rate?: number
}

/** Rejects with a BenchFailure if the server drops a connection, an answer never comes, or any request is refused. */
export async function runLoad(generator: string, address: string, load: Load): Promise<LoadFigures> {
  const { workload, seconds, keys, rate = 0 } = load
  requireLoopback(address)
  const args = [
    address,
    workload.operation,
    seconds,
    workload.connections,
    workload.window,
    VALUE_BYTES,
    keys,
    rate,
  ].map(String)
  const [program, ...before] = rate > 0 ? ['nice', '-n', '19', generator] : [generator]
  const run = await runToEnd(program as string, [...before, ...args], seconds * 1000 + OUTSIDE_COUNTED_MS_MAX)
  const complaint = run.stderr.trim()
  if (run.code !== 0 || complaint !== '') {
    throw new BenchFailure(
      `${workloadName(workload)}: the load generator says: ${complaint || `exit code ${run.code}`}`,
    )
  }
  return figuresFrom(run.stdout, workload)
}

/** Median latencies of two servers from the same moments, in microseconds. */
export type LatencyPair = readonly [number, number]

export type PairedLoad = {
  readonly pairs: number
  /** Of each pair, for both servers; each is so many requests. */
  readonly turns: number
  readonly requests: number
  readonly keys: number
}

/** Sets at one in flight to two servers in turn. Rejects with a BenchFailure if one refuses anything or goes away. */
export async function runPairs(
  generator: string,
  addresses: readonly [string, string],
  { pairs, turns, requests, keys }: PairedLoad,
): Promise<readonly LatencyPair[]> {
  for (const address of addresses) requireLoopback(address)
  const args = [...addresses, ...[pairs, turns, requests, VALUE_BYTES, keys].map(String)]
  const run = await runToEnd(generator, args, PAIRS_MS_MAX)
  if (run.code !== 0) throw new BenchFailure(`zkpairs: ${run.stderr.trim() || `exit code ${run.code}`}`)
  return (JSON.parse(run.stdout) as { pairs: LatencyPair[] }).pairs
}

function requireLoopback(address: string): void {
  if (!/^127\.\d+\.\d+\.\d+:\d+$/.test(address)) throw new BenchFailure(`not a loopback address: ${address}`)
}

function figuresFrom(line: string, workload: Workload): LoadFigures {
  const figures = JSON.parse(line) as Record<'ops_per_s' | 'p50_us' | 'p99_us' | 'max_us' | 'errors', number>
  if (figures.errors > 0) throw new BenchFailure(`${workloadName(workload)}: ${figures.errors} requests were refused`)
  return { opsPerSecond: figures.ops_per_s, p50Us: figures.p50_us, p99Us: figures.p99_us, maxUs: figures.max_us }
}

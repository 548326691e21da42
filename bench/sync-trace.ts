// Counts the system calls by which a server makes data durable, as the kernel sees them: the arbiter over what servers
// count themselves. It needs strace, which costs a traced server speed and thereby changes how many requests share a
// sync; so it runs apart from the timed rounds, and only shows whether the servers' own counts can be believed.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Load, runLoad } from './load.ts'
import { type Counters, countedSince, type PeerName, type StartServer, useServer } from './peers.ts'
import { discard, isNotFound, runToEnd, scratchDirectory } from './processes.ts'
import { keysFor, type Workload } from './workloads.ts'

export type TracedSyncs = {
  readonly workload: Workload
  readonly peer: PeerName
  /** Calls of fsync, fdatasync and their kin, of the log, the store and anything else in the process. */
  readonly syncCalls: number
  /** By the server's own counters over the same stretch. */
  readonly counted: Counters
}

const TRACED = ['fsync', 'fdatasync', 'sync', 'syncfs', 'sync_file_range', 'msync']
const CALL = new RegExp(`^\\d+ +(?:${TRACED.join('|')})\\(`, 'gm')

/**
 * The tracer runs beside the server, which keeps the process id that was started, and ends with it. With a seccomp filter
 * only the traced calls stop at the tracer; all others run at full speed.
 */
function tracerCommand(output: string): readonly string[] {
  return [
    'strace',
    '-D',
    '-f',
    '--seccomp-bpf',
    '-qq',
    '-e',
    'signal=none',
    '-e',
    `trace=${TRACED.join(',')}`,
    '-o',
    output,
  ]
}

function callsIn(output: string): number {
  return readFileSync(output, 'utf8').match(CALL)?.length ?? 0
}

/** Says why system calls can't be counted here, or nothing. */
export async function whyNotTraceable(parent: string): Promise<string | undefined> {
  const directory = scratchDirectory(parent, 'trace')
  try {
    const [output, file] = [join(directory, 'calls'), join(directory, 'file')]
    writeFileSync(file, 'x')
    const [strace, ...args] = tracerCommand(output)
    const run = await runToEnd(strace ?? '', [...args, 'sync', '-d', file], 10_000)
    return callsIn(output) === 1 ? undefined : `strace can't trace here: ${run.stderr.trim()}`
  } catch (error) {
    return isNotFound(error) ? 'strace is not installed' : `strace can't trace here: ${String(error)}`
  } finally {
    discard(directory)
  }
}

const WARM_UP: Load = { workload: { operation: 'set', connections: 10, window: 100 }, seconds: 4, keys: 1000 }

/** One second of every chosen write workload, on a server that is started for it below `parent` and stopped again. */
export async function traceSyncs(
  peer: PeerName,
  start: StartServer,
  generator: string,
  parent: string,
  chosen: readonly Workload[],
): Promise<readonly TracedSyncs[]> {
  const directory = scratchDirectory(parent, 'trace')
  const output = join(directory, 'calls')
  const results: TracedSyncs[] = []
  await useServer(start, { parent, wrapper: tracerCommand(output) }, async (server) => {
    await runLoad(generator, server.address, WARM_UP)
    for (const workload of chosen.filter(({ operation }) => operation !== 'get')) {
      const before = { calls: callsIn(output), counters: await server.counters() }
      await runLoad(generator, server.address, { workload, seconds: 1, keys: keysFor(workload, WARM_UP.keys) })
      const counted = countedSince(before.counters, await server.counters())
      results.push({ workload, peer, syncCalls: callsIn(output) - before.calls, counted })
    }
  })
  discard(directory)
  return results
}

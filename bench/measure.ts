// Measures one workload on one running server: the generator's figures, what the server's counters say about the same
// stretch, how much processor the server used, and how much others did.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Load, type LoadFigures, runLoad } from './load.ts'
import { processCpuSeconds, watchForeignLoad } from './machine.ts'
import { type Counters, countedSince, type Server } from './peers.ts'

export type Measurement = LoadFigures & {
  /** Processor cores that the server kept busy in the counted seconds. */
  readonly cores: number
  /** Share (0 to 1) of the machine's processor time that went to other processes or was stolen by the host. */
  readonly foreignShare: number
  /** What the server counted over the whole run, laying out the keys and the uncounted second included. */
  readonly counted: Counters
}

export async function measure(generator: string, server: Server, load: Load): Promise<Measurement> {
  const before = await server.counters()
  const foreign = watchForeignLoad(server.pid)
  const generatorEnded = new AbortController()
  const cores = coresUsed(server.pid, load.seconds, generatorEnded.signal)
  try {
    const figures = await runLoad(generator, server.address, load)
    const foreignShare = foreign()
    return { ...figures, cores: await cores, foreignShare, counted: countedSince(before, await server.counters()) }
  } finally {
    generatorEnded.abort()
    await cores.catch(() => Number.NaN) // only the failure of the load itself is worth telling
  }
}

/** After this much the keys are laid out and the uncounted second is over, give or take. */
const UNCOUNTED_MS = 1600

async function coresUsed(pid: number, seconds: number, signal: AbortSignal): Promise<number> {
  await sleep(UNCOUNTED_MS, undefined, { signal })
  const before = { cpu: processCpuSeconds(pid), at: performance.now() }
  await sleep((seconds - 0.6) * 1000, undefined, { signal })
  return (processCpuSeconds(pid) - before.cpu) / ((performance.now() - before.at) / 1000)
}

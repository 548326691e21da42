// The command line of the comparison with ZooKeeper: what there is, what it defaults to, and what is refused.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { SECONDS_MAX } from './load.ts'
import { paths } from './paths.ts'
import { PEER_NAMES, type PeerName, type PeerOptions } from './peers.ts'
import { UsageError } from './usage-error.ts'
import { selectWorkloads, WORKLOADS, type Workload } from './workloads.ts'

export type ZookeeperOptions = PeerOptions & {
  readonly rounds: number
  /** Counted seconds per workload, server and round. */
  readonly seconds: number
  readonly warmSeconds: number
  readonly keys: number
  readonly workloads: readonly Workload[]
  readonly peers: readonly PeerName[]
  readonly check: boolean
  readonly write: boolean
  readonly traceSyncs: boolean
  readonly workDirectory: string
}

export const USAGE = `npm run bench -- zookeeper [flags]

  --check              exit 1 if a stated floor does not hold
  --quick              1 round of 3 s instead of 3 of 5 s: under 4 minutes instead of under 15
  --rounds N           rounds; in each, both servers are started, warmed, measured and stopped
  --seconds N          counted seconds per workload (at most ${SECONDS_MAX})
  --warm-seconds N     load before the first measurement of a round (15)
  --keys N             nodes that get, set and mixed spread over (10000)
  --only LIST          of get, set, create, mixed, 1x1, 100x1, 10x100, or both parts: set:10x100,get:1x1
  --peers LIST         measure only delos or only zookeeper
  --no-trace           do not count sync calls with strace
  --write              write bench/RESULTS.md
  --server FILE        our server's main file (dist/cli/main.js)
  --work-dir DIR       where both servers keep their data (build/); must be on a real disk
  --zookeeper-classpath CP   where ZooKeeper 3.8 and its libraries are (Debian's package)
`

const DEBIAN_CLASSPATH = '/usr/share/java/zookeeper.jar'

export function parseOptions(args: readonly string[]): ZookeeperOptions {
  const values = parsed(args)
  const peers = peersFrom(values.peers)
  const complete = peers.length === PEER_NAMES.length
  if (values.check && !complete) throw new UsageError('--check compares: it needs both peers')
  if (values.write && (!complete || values.only !== undefined))
    throw new UsageError('--write needs a complete run: no --only, no --peers')
  return {
    rounds: whole('rounds', values.rounds, values.quick ? 1 : 3, 100),
    seconds: whole('seconds', values.seconds, values.quick ? 3 : 5, SECONDS_MAX),
    warmSeconds: whole('warm-seconds', values['warm-seconds'], 15, 600),
    keys: whole('keys', values.keys, 10_000, 10_000_000),
    workloads: workloadsFrom(values.only),
    peers,
    check: values.check,
    write: values.write,
    traceSyncs: !values['no-trace'],
    workDirectory: resolve(values['work-dir'] ?? paths.build),
    server: resolve(values.server ?? paths.server),
    zookeeperClasspath: values['zookeeper-classpath'] ?? DEBIAN_CLASSPATH,
  }
}

function parsed(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const
  const word = { type: 'string' } as const
  const options = {
    ...{ check: flag, quick: flag, write: flag, 'no-trace': flag },
    ...{ rounds: word, seconds: word, 'warm-seconds': word, keys: word, only: word, peers: word },
    ...{ server: word, 'work-dir': word, 'zookeeper-classpath': word },
  }
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function whole(name: string, text: string | undefined, otherwise: number, max: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1 || value > max)
    throw new UsageError(`--${name}: a whole number from 1 to ${max}, not ${text}`)
  return value
}

function workloadsFrom(words: string | undefined): readonly Workload[] {
  if (words === undefined) return WORKLOADS
  const selected = selectWorkloads(words)
  if ('unknown' in selected) throw new UsageError(`--only: there is no workload ${selected.unknown}`)
  return selected
}

function peersFrom(words: string | undefined): readonly PeerName[] {
  if (words === undefined) return PEER_NAMES
  const names = words.split(',')
  const unknown = names.find((name) => !PEER_NAMES.some((peer) => peer === name))
  if (unknown !== undefined) throw new UsageError(`--peers: there is no peer ${unknown}`)
  return PEER_NAMES.filter((peer) => names.includes(peer))
}

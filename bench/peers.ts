// Starts and stops the two servers that are compared, each on a fresh data directory and a free loopback port, and reads
// their counters. Both are treated alike: same file system, nothing pinned, no priority, logs to a file.
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { paths } from './paths.ts'
import { BenchFailure, discard, hasEnded, scratchDirectory, startServer, stopProcess } from './processes.ts'

export const PEER_NAMES = ['delos', 'zookeeper'] as const
export type PeerName = (typeof PEER_NAMES)[number]

/** Totals since the server's start; a counter that the server does not offer is left out. */
export type Counters = { readonly requests?: number; readonly logSyncs?: number }

/** What was counted between two readings. */
export function countedSince(before: Counters, after: Counters): Counters {
  const of = (name: keyof Counters): Counters => {
    const [from, to] = [before[name], after[name]]
    return from === undefined || to === undefined ? {} : { [name]: to - from }
  }
  return { ...of('requests'), ...of('logSyncs') }
}

export type Server = {
  /** HOST:PORT that speaks ZooKeeper's protocol. */
  readonly address: string
  readonly pid: number
  readonly version: string
  /** HOST:PORT of its HTTP API, if it has one. */
  readonly api?: string
  counters(): Promise<Counters>
  stop(): Promise<void>
}

export type StartOptions = {
  /** Empty; the server keeps its data and its log file here. */
  readonly directory: string
  /** Put before the server's command line, to run it under a tracer; the process id must stay that of the server. */
  readonly wrapper: readonly string[]
  /** More flags for our server. */
  readonly flags?: readonly string[]
}

export type PeerOptions = {
  /** The JavaScript file that our server is started from. */
  readonly server: string
  /** Java class path with ZooKeeper and what it needs. */
  readonly zookeeperClasspath: string
}

export type StartServer = (options: StartOptions) => Promise<Server>

export type Peers = Readonly<Record<PeerName, StartServer>>

export function createPeers(options: PeerOptions): Peers {
  return {
    delos: (start) => startDelos(options.server, start),
    zookeeper: (start) => startZookeeper(options.zookeeperClasspath, start),
  }
}

const READY_MS_MAX = 60_000
const STOP_MS_MAX = 10_000
const ANSWER_MS_MAX = 10_000

function launch(command: readonly string[], options: StartOptions, stdout: 'pipe' | 'log'): ChildProcess {
  const [program, ...args] = [...options.wrapper, ...command]
  if (program === undefined) throw new Error('nothing to launch')
  return startServer(program, args, logFile(options), stdout)
}

function logFile(options: StartOptions): string {
  return join(options.directory, 'server.log')
}

function endOfLog(options: StartOptions): string {
  return `the end of its log:\n${readFileSync(logFile(options), 'utf8').trimEnd().slice(-2000)}`
}

/**
 * Starts a server on a new directory below `parent`, lends it out, stops it and removes the directory. A failure while it
 * is lent out is reported with the end of the server's log.
 */
export async function useServer(
  start: StartServer,
  options: { readonly parent: string } & Pick<StartOptions, 'wrapper' | 'flags'>,
  use: (server: Server) => Promise<void>,
): Promise<void> {
  const { parent, ...rest } = options
  const lent: StartOptions = { ...rest, directory: scratchDirectory(parent, 'server') }
  const server = await start(lent)
  try {
    await use(server)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new BenchFailure(`${message}\n${server.version}: ${endOfLog(lent)}`, { cause: error })
  } finally {
    await server.stop()
    discard(lent.directory)
  }
}

/** Runs `ready`, but gives up when the server ends first or the deadline passes; then with the end of its log. */
async function whenReady<T>(name: string, child: ChildProcess, options: StartOptions, ready: Promise<T>): Promise<T> {
  const giveUp = new AbortController()
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(`ended before it was ready (${signal ?? `exit code ${code}`})`))
  })
  const late = sleep(READY_MS_MAX, `was not ready after ${READY_MS_MAX / 1000} s`, {
    signal: giveUp.signal,
    ref: false,
  })
  late.catch(() => undefined) // aborted below once it does not matter any more
  const problem = Promise.race([ended, late]).then((why) => {
    throw new BenchFailure(
      `${name} ${why}; the end of its log:\n${readFileSync(logFile(options), 'utf8').slice(-2000)}`,
    )
  })
  try {
    const value = await Promise.race([ready, problem])
    return hasEnded(child) ? await problem : value
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    problem.catch(() => undefined) // the server's later, wanted end is no problem
    giveUp.abort()
  }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new BenchFailure('the server could not be started')
  return child.pid
}

async function startDelos(program: string, options: StartOptions): Promise<Server> {
  if (!existsSync(program)) throw new BenchFailure(`${program} does not exist: run \`npm run build\` first`)
  const flags = [
    '--json',
    '--data-dir',
    join(options.directory, 'data'),
    '--zookeeper-port',
    '0',
    '--metrics-port',
    '0',
    '--api-port',
    'off',
    ...(options.flags ?? []),
  ]
  const child = launch([process.execPath, ...startFlags(), program, 'serve', ...flags], options, 'pipe')
  const addresses = await whenReady('delos', child, options, readyMessage(child))
  const { version } = JSON.parse(readFileSync(paths.packageJson, 'utf8')) as { version: string }
  return {
    address: addresses.zookeeper,
    pid: pidOf(child),
    version: `Delos ${version} (Node.js ${process.versions.node})`,
    ...(addresses.api !== undefined && { api: addresses.api }),
    counters: async () => ({
      ...requestsFrom(parseMntr(await fourLetterWord(addresses.zookeeper, 'mntr'))),
      ...(addresses.metrics === undefined ? {} : logSyncsFrom(await scrape(addresses.metrics))),
    }),
    stop: () => stopProcess(child, STOP_MS_MAX),
  }
}

type DelosAddresses = { readonly zookeeper: string; readonly metrics?: string; readonly api?: string }

/** The one line that `delos serve --json` prints when it serves; what follows on stdout is read and dropped. */
async function readyMessage(child: ChildProcess): Promise<DelosAddresses> {
  if (child.stdout === null) throw new Error('stdout is not piped')
  const lines = createInterface({ input: child.stdout })
  const line = await new Promise<string>((resolve) => lines.once('line', resolve))
  const message = parsedOr(line, {}) as { ready?: boolean; addresses?: Partial<DelosAddresses> }
  const zookeeper = message.addresses?.zookeeper
  if (message.ready !== true || zookeeper === undefined)
    throw new BenchFailure(`delos: unexpected start-up message: ${line}`)
  return { ...message.addresses, zookeeper }
}

function parsedOr(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return otherwise // told by the caller, with the text
  }
}

async function startZookeeper(classpath: string, options: StartOptions): Promise<Server> {
  const missing = classpath.split(':').filter((entry) => !existsSync(entry.replace(/\/\*$/, '')))
  if (missing.length > 0) {
    throw new BenchFailure(
      `ZooKeeper is not at ${missing.join(', ')} (Debian: apt-get install zookeeper; else --zookeeper-classpath)`,
    )
  }
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  const config = join(options.directory, 'zookeeper.cfg')
  writeFileSync(config, filledConfig(join(options.directory, 'data'), port))
  const heap = ['-Xms2g', '-Xmx2g']
  const main = [
    '-Dzookeeper.jmx.log4j.disable=true',
    '-cp',
    classpath,
    'org.apache.zookeeper.server.quorum.QuorumPeerMain',
    config,
  ]
  const child = launch(['java', ...heap, ...main], options, 'log')
  await whenReady('zookeeper', child, options, untilServing(child, address))
  return {
    address,
    pid: pidOf(child),
    version: await zookeeperVersion(address),
    counters: async () => {
      const mntr = parseMntr(await fourLetterWord(address, 'mntr'))
      const logSyncs = mntr.get('zk_cnt_fsynctime')
      return { ...requestsFrom(mntr), ...(logSyncs === undefined ? {} : { logSyncs }) }
    },
    stop: () => stopProcess(child, STOP_MS_MAX),
  }
}

function filledConfig(dataDirectory: string, port: number): string {
  return readFileSync(paths.zookeeperConfig, 'utf8')
    .replaceAll('@DATA_DIR@', dataDirectory)
    .replaceAll('@CLIENT_PORT@', String(port))
}

async function untilServing(child: ChildProcess, address: string): Promise<void> {
  while (!hasEnded(child)) {
    // `ruok` is answered too early, before sessions are accepted. While nothing listens yet: ask again.
    const answer = await fourLetterWord(address, 'srvr').catch(() => '')
    if (answer.includes('Mode: standalone')) return
    await sleep(50)
  }
}

async function zookeeperVersion(address: string): Promise<string> {
  const version = /version: (\d+\.\d+\.\d+)/.exec(await fourLetterWord(address, 'srvr'))?.[1] ?? 'unknown'
  const java = /^java\.version=(.*)$/m.exec(await fourLetterWord(address, 'envi'))?.[1] ?? 'unknown'
  return `ZooKeeper ${version} (Java ${java})`
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  return port
}

function fourLetterWord(address: string, word: string): Promise<string> {
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect({ host: host ?? '', port: Number(port) }, () => socket.write(word))
    socket
      .setEncoding('utf8')
      .setTimeout(ANSWER_MS_MAX, () => socket.destroy(new BenchFailure(`${address} does not answer ${word}`)))
    socket.on('data', (text: string) => {
      answer += text
    })
    socket.on('error', reject).on('close', () => resolve(answer))
  })
}

function parseMntr(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([key, value]) => [key ?? '', Number(value)]),
  )
}

function requestsFrom(mntr: ReadonlyMap<string, number>): Counters {
  const requests = mntr.get('zk_packets_received')
  return requests === undefined ? {} : { requests }
}

async function scrape(address: string): Promise<string> {
  const url = `http://${address.replace(/^https?:\/\//, '').replace(/\/.*$/, '')}/metrics`
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) })
  return response.text()
}

/** Sums over the label sets of one metric: a process has one log per database. */
function logSyncsFrom(metrics: string): Counters {
  const values = [...metrics.matchAll(/^delos_loglet_syncs_total(?:\{[^}]*\})? (\S+)/gm)].map((match) =>
    Number(match[1]),
  )
  return values.length === 0 ? {} : { logSyncs: values.reduce((sum, value) => sum + value, 0) }
}

/** Node's own flags, as `npm start` gives them. */
export function startFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync(paths.packageJson, 'utf8')) as { scripts: { start: string } }
  return scripts.start.split(' ').filter((word) => word.startsWith('--'))
}

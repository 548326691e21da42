// The server under test as a process of its own: start, kill, pause, restart on the same directory and port.
// It is Delos, or with DELOS_TEST_PEER=zookeeper a real ZooKeeper, which proves that a test's claim is ZooKeeper's too.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fourLetterWord } from './frame-connection.ts'
import { peers, ZOOKEEPER_JAR } from './peers.ts'
import { tempDir } from './temp-dir.ts'
import { delay, eventually, within } from './wait.ts'

/** What is under test. Assertions that hold for one of them only say so with this. */
export const serverKind: 'delos' | 'zookeeper' = process.env.DELOS_TEST_PEER === 'zookeeper' ? 'zookeeper' : 'delos'

/** DELOS_TEST_MAIN names another build's main module than the one in dist. */
export const DELOS_MAIN =
  process.env.DELOS_TEST_MAIN ?? fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface ServerOptions {
  /** Default 2000, as in both servers. */
  readonly tickMs?: number
  readonly sessionTimeoutMinMs?: number
  readonly sessionTimeoutMaxMs?: number
  /** Default false. */
  readonly enforceQuota?: boolean
  /** How long after its last child a container goes, at least. */
  readonly containerCheckMs?: number
  /** A data directory to start from; it is copied. */
  readonly data?: string
  /** Delos only: more flags of `delos serve`, and variables of its environment. */
  readonly flags?: readonly string[]
}

/** No AdminServer by a variable: builds that don't know it don't mind. */
const ENVIRONMENT = { ...process.env, DELOS_ADMIN_PORT: 'off' }

const running = new Set<ChildProcess>()
const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}
process.once('exit', killAll)
// The test runner may end this process without letting it exit.
process.once('disconnect', killAll)

export class TestServer {
  /** Holds the server's data and its log, and outlives restarts. */
  readonly dir: string
  /** The client port, the same after a restart. */
  readonly port: number
  /** From spawn until the server said that it is ready (ZooKeeper: until it answered), of the last start. */
  startMs = 0
  private readonly options: ServerOptions
  private child: ChildProcess | undefined

  private constructor(dir: string, port: number, options: ServerOptions) {
    this.dir = dir
    this.port = port
    this.options = options
  }

  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(tempDir('server'), await freePort(), options)
    if (options.data !== undefined) cpSync(options.data, join(server.dir, 'data'), { recursive: true })
    await server.restart()
    return server
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error('the server is not running')
    return this.child.pid
  }

  get isRunning(): boolean {
    return this.child !== undefined
  }

  /** Starts it on its directory and port; the previous process must have ended. */
  async restart(): Promise<void> {
    const started = performance.now()
    const child = this.spawn()
    const ready = serverKind === 'delos' ? readyLine(child) : answers(child, this.port)
    try {
      await within(ready, 30_000, 'sign of a ready server')
    } catch (error) {
      await this.kill()
      throw new Error(`${(error as Error).message}\n${this.logTail()}`)
    }
    this.startMs = performance.now() - started
  }

  /** Starts it and kills it `afterMs` later, ready or not. */
  async startAndKill(afterMs: number): Promise<void> {
    this.spawn()
    await delay(afterMs)
    await this.kill()
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null> {
    return this.end('SIGTERM')
  }

  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  /** Resident memory as the kernel counts it. */
  residentBytes(): number {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    return Number(line?.[1]) * 1024
  }

  logTail(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, 'utf8').slice(-4000) : ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  private get logPath(): string {
    return join(this.dir, 'server.log')
  }

  private spawn(): ChildProcess {
    if (this.child !== undefined) throw new Error('the server is still running')
    const [program, ...args] = serverCommand(this.dir, this.port, this.options)
    const log = openSync(this.logPath, 'a')
    const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', log], env: ENVIRONMENT })
    closeSync(log)
    this.child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    return child
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.child
    if (child === undefined) return null
    this.child = undefined
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill(signal)
      await within(exited, 30_000, `end of the server after ${signal}`)
    }
    return child.exitCode
  }
}

/** Program and arguments that start a server in the foreground; ZooKeeper's configuration is written into `dir`. */
export function serverCommand(dir: string, port: number | string, options: ServerOptions = {}): string[] {
  return serverKind === 'delos' ? delosCommand(dir, port, options) : zookeeperCommand(dir, port, options)
}

function delosCommand(dir: string, port: number | string, options: ServerOptions): string[] {
  if (!existsSync(DELOS_MAIN)) throw new Error(`${DELOS_MAIN} is missing: npm run build`)
  const command = [process.execPath, DELOS_MAIN, 'serve', '--json', '--data-dir', join(dir, 'data')]
  command.push('--zookeeper-port', String(port), '--metrics-port', 'off', '--api-port', 'off')
  if (options.tickMs !== undefined) command.push('--tick-ms', String(options.tickMs))
  if (options.sessionTimeoutMinMs !== undefined)
    command.push('--session-timeout-min-ms', String(options.sessionTimeoutMinMs))
  if (options.sessionTimeoutMaxMs !== undefined)
    command.push('--session-timeout-max-ms', String(options.sessionTimeoutMaxMs))
  if (options.enforceQuota) command.push('--enforce-quota', 'true')
  if (options.containerCheckMs !== undefined) command.push('--container-check-ms', String(options.containerCheckMs))
  if (options.flags !== undefined) command.push(...options.flags)
  return command
}

function zookeeperCommand(dir: string, port: number | string, options: ServerOptions): string[] {
  if (!peers.zookeeper.present()) throw new Error(`${peers.zookeeper.name} is missing: ${peers.zookeeper.install}`)
  mkdirSync(dir, { recursive: true })
  const settings = [
    `tickTime=${options.tickMs ?? 2000}`,
    `dataDir=${join(dir, 'data')}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'maxClientCnxns=0',
    'admin.enableServer=false',
    '4lw.commands.whitelist=ruok, srvr, stat, mntr, conf, cons, envi, isro',
    'reconfigEnabled=true',
    'authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider',
  ]
  if (options.sessionTimeoutMinMs !== undefined) settings.push(`minSessionTimeout=${options.sessionTimeoutMinMs}`)
  if (options.sessionTimeoutMaxMs !== undefined) settings.push(`maxSessionTimeout=${options.sessionTimeoutMaxMs}`)
  const file = join(dir, 'zoo.cfg')
  writeFileSync(file, `${settings.join('\n')}\n`)
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const properties = ['zookeeper.extendedTypesEnabled=true', `zookeeper.enforceQuota=${options.enforceQuota ?? false}`]
  if (options.containerCheckMs !== undefined)
    properties.push(`znode.container.checkIntervalMs=${options.containerCheckMs}`)
  const java = ['/usr/bin/java', '-Xmx512m', '-Dfile.encoding=UTF-8', ...properties.map((one) => `-D${one}`)]
  return [...java, '-cp', ZOOKEEPER_JAR, main, file]
}

/** Below the ports that systems give to whoever asks for any: Linux from 32768 on, others from 49152. */
const [PORT_MIN, PORT_MAX] = [16_384, 32_767]
const PORT_ATTEMPTS = 50

/**
 * A port that was free a moment ago, and that no other program gets by chance: neither one that listens anywhere, nor a connection,
 * whose own end would hold it. So it stays free while a server is down.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const port = randomInt(PORT_MIN, PORT_MAX)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port in ${PORT_ATTEMPTS} attempts`)
}

/** Everywhere: servers listen on all addresses. */
async function isFree(port: number): Promise<boolean> {
  const listener = createServer()
  try {
    listener.listen(port)
    await once(listener, 'listening')
  } catch {
    return false
  }
  await new Promise((resolve) => listener.close(resolve))
  return true
}

interface ReadyMessage {
  readonly ready: boolean
  readonly version: string
  readonly addresses: { readonly zookeeper: string }
}

function readyLine(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.once('exit', (code, signal) =>
      reject(new Error(`the server ended with ${code ?? signal} before it was ready`)),
    )
    child.once('error', reject)
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      if (!text.includes('\n')) return
      const message = JSON.parse(text.slice(0, text.indexOf('\n'))) as ReadyMessage
      if (message.ready) resolve()
      else reject(new Error(`first line on stdout: ${text}`))
    })
  })
}

async function answers(child: ChildProcess, port: number): Promise<void> {
  child.stdout?.resume()
  const probe = async (): Promise<true | undefined> => {
    if (child.exitCode !== null) throw new Error(`ZooKeeper ended with ${child.exitCode}`)
    const srvr = await fourLetterWord(port, 'srvr', 500).catch(() => '')
    return srvr.includes('Mode: standalone') ? true : undefined
  }
  await eventually(probe, 30_000, 'a ZooKeeper that answers')
}

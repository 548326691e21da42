// ZooKeeper's own command line, unmodified, as a person would type into it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { ZKCLI } from './peers.ts'
import { eventually, within } from './wait.ts'

/** A command that needs no session and prints one line: it ends what the command before it printed. */
const LAST = 'redo 999999'
const END = /^Command index out of range\n/m

/** Events are printed by a thread of their own: anywhere. */
const EVENT_LINES = /^(WATCHER::|WatchedEvent .*|)\n/gm

/** One running zkCli.sh. */
export class ZkCli {
  private readonly child: ChildProcess
  private text = ''
  private readFrom = 0

  /** `flags`: more for the virtual machine. */
  constructor(port: number, flags: readonly string[] = []) {
    // One pipe for what it prints and what it complains of, so that they stay in order.
    const line = `exec "${ZKCLI}" -server 127.0.0.1:${port} 2>&1`
    const env = { ...process.env, CLIENT_JVMFLAGS: flags.join(' ') }
    this.child = spawn('/bin/sh', ['-c', line], { stdio: ['pipe', 'pipe', 'ignore'], env })
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('utf8')
    })
  }

  /** The command line with a session; what it says until then is left out. */
  static async connected(port: number, flags: readonly string[] = []): Promise<ZkCli> {
    const cli = new ZkCli(port, flags)
    await cli.event('WatchedEvent state:SyncConnected type:None path:null')
    await cli.run('')
    return cli
  }

  /** What the command printed. Watch events are left out, and empty lines. */
  async run(command: string): Promise<string> {
    this.child.stdin?.write(`${command}\n${LAST}\n`)
    const end = () => END.exec(this.text.slice(this.readFrom)) ?? undefined
    const found = await eventually(end, 20_000, `the end of ${command}`)
    const output = this.text.slice(this.readFrom, this.readFrom + found.index)
    this.readFrom += found.index + found[0].length
    return output.replace(EVENT_LINES, '').trim()
  }

  /** The WatchedEvent lines so far. */
  get watchedEvents(): string[] {
    return this.text.match(/^WatchedEvent .*$/gm) ?? []
  }

  event(line: string): Promise<true> {
    return eventually(() => (this.watchedEvents.includes(line) ? true : undefined), 20_000, line)
  }

  async quit(): Promise<number | null> {
    const ended = once(this.child, 'close')
    // Its exit code is the outcome of the command before.
    this.child.stdin?.write('version\nquit\n')
    await within(ended, 10_000, 'end of zkCli.sh')
    return this.child.exitCode
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }

  [Symbol.dispose](): void {
    this.kill()
  }
}

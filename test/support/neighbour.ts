// A well-behaved client beside a test that is not: a process of its own, which reports what it noticed.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { within } from './wait.ts'

/** What neighbour.mjs prints. */
export interface NeighbourReport {
  readonly operations: number
  readonly failures: number
  readonly unanswered: number
  readonly over50: number
  readonly worstMs: number
  /** In which the neighbour's own process did not run; left out of its latencies. */
  readonly stalledMs: number
  /** In which the server's main thread waited for a processor; left out too, if the process is known. */
  readonly waitedMs: number
}

/** Works on one node from the start, one operation a millisecond. */
export class Neighbour {
  private readonly child: ChildProcess
  private text = ''

  /** `pid`: of the server, if a busy machine must not count. */
  constructor(port: number, path: string, pid?: number) {
    const script = fileURLToPath(new URL('./neighbour.mjs', import.meta.url))
    const args = [script, String(port), path, ...(pid === undefined ? [] : [String(pid)])]
    this.child = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('utf8')
    })
  }

  async end(): Promise<NeighbourReport> {
    const closed = once(this.child, 'close')
    this.child.stdin?.end()
    await within(closed, 10_000, 'end of the neighbour')
    return JSON.parse(this.text)
  }
}

// Owns every process and directory that a benchmark makes: each child has a way to be stopped with a deadline, and none
// outlives the benchmark, whether it ends well, fails or is interrupted. Knows nothing of what the processes do.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A reason to give up that the user can act on; printed as one line, without a stack. */
export class BenchFailure extends Error {
  override readonly name = 'BenchFailure'
}

const children = new Set<ChildProcess>()
const directories = new Set<string>()

/** Call once, before anything is started. A signal ends the benchmark with 128 + its number. */
export function cleanUpOnExit(): void {
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    for (const directory of directories) removeQuietly(directory)
  })
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(code))
  }
}

function removeQuietly(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  } catch (error) {
    // A process that is just being killed may still write there; the exit must go on, and the user can remove the rest.
    process.stderr.write(`bench: could not remove ${directory}: ${String(error)}\n`)
  }
}

/** A new empty directory below `parent` that is gone after `discard`, at the latest when the benchmark exits. */
export function scratchDirectory(parent: string, prefix: string): string {
  mkdirSync(parent, { recursive: true })
  const directory = mkdtempSync(join(parent, `${prefix}-`))
  directories.add(directory)
  return directory
}

export function discard(directory: string): void {
  directories.delete(directory)
  removeQuietly(directory)
}

/** Starts a long-running server. Its stderr goes to `logFile`; stdout is piped, or joins the log. */
export function startServer(
  command: string,
  args: readonly string[],
  logFile: string,
  stdout: 'pipe' | 'log',
): ChildProcess {
  const log = openSync(logFile, 'a')
  try {
    const child = spawn(command, args, { stdio: ['ignore', stdout === 'pipe' ? 'pipe' : log, log] })
    // The error is also seen by whoever waits for the server to be ready; here it only must not be unhandled.
    child.on('error', () => children.delete(child))
    children.add(child)
    child.on('exit', () => children.delete(child))
    return child
  } finally {
    closeSync(log)
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** Asks the child to stop, and kills it when it has not after `graceMs`. Resolves when it is gone. */
export async function stopProcess(child: ChildProcess, graceMs: number): Promise<void> {
  if (hasEnded(child)) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await ended
  clearTimeout(timer)
}

export type Finished = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

const OUTPUT_CHARACTERS_MAX = 1 << 20

/** Runs a command to its end, at most `deadlineMs`; then it is killed, and this rejects with a BenchFailure. */
export function runToEnd(command: string, args: readonly string[], deadlineMs: number): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    children.add(child)
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < OUTPUT_CHARACTERS_MAX) output[name] += text
      })
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new BenchFailure(`${command} ${args.join(' ')}: not finished after ${deadlineMs / 1000} s, killed`))
    }, deadlineMs)
    child.on('error', (error) => {
      clearTimeout(timer)
      children.delete(child)
      reject(error)
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      children.delete(child)
      resolve({ code, ...output })
    })
  })
}

/** Whether an error means that the command itself does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

// Identifies a running process across restarts and re-used process ids, so that a lock can tell whether its holder lives.

import { execFile } from 'node:child_process'
import fs from 'node:fs/promises'

/** A process, named so that no later process has the same name. */
export interface ProcessIdentity {
  readonly pid: number
  /** The running system, new after each reboot; empty where the platform does not say. */
  readonly bootId: string
  /** When the process started, in the platform's own form; empty where it does not say. */
  readonly start: string
}

/** This process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const start = await startOf(process.pid)
  return { pid: process.pid, bootId: await bootId(), start: start ?? '' }
}

/** True unless that process is known to have ended. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await bootId())) return false
  const start = await startOf(identity.pid)
  return start !== undefined && start === identity.start
}

async function bootId(): Promise<string> {
  if (process.platform !== 'linux') return ''
  return (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** When the process with this id started; undefined if there is none. */
function startOf(pid: number): Promise<string | undefined> {
  return process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid)
}

async function startFromProc(pid: number): Promise<string | undefined> {
  let stat: string
  try {
    stat = await fs.readFile(`/proc/${pid}/stat`, 'latin1')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
  // The second field, the command in parentheses, may itself hold blanks and parentheses; after it comes field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  const threads = Number(fields[17])
  // Killed and not yet waited for by its parent. With threads left it may still be inside a write.
  if ((state === 'Z' || state === 'X') && threads <= 1) return undefined
  return fields[19]
}

function startFromPs(pid: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C', TZ: 'UTC' } }, (error, stdout) => {
      resolve(error || stdout.trim() === '' ? undefined : stdout.trim())
    })
  })
}

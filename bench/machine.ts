// What must be known of the machine to read the figures: processor, cores, kind of disk and what one sync costs there; and
// while measuring, who used the processors. Linux only, from /proc and /sys; no names, addresses or serial numbers.
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  realpathSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { cpus } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { median } from './statistics.ts'

export type Machine = {
  readonly processor: string
  readonly cores: number
  readonly disk: string
  /** Median of appending 4 KiB to a preallocated stretch of a file and waiting for fdatasync. */
  readonly syncUs: number
}

export function describeMachine(directory: string): Machine {
  const list = cpus()
  return {
    processor: list[0]?.model.trim() ?? 'unknown',
    cores: list.length,
    disk: `${diskKind(directory)}, ${fileSystem(directory)}`,
    syncUs: Math.round(measureSync(directory)),
  }
}

const TMPFS_MAGIC = 0x01021994
const RAMFS_MAGIC = 0x858458f6

/** On such a file system a sync costs nothing, so nothing measured there says anything about a disk. */
export function isInMemory(directory: string): boolean {
  return [TMPFS_MAGIC, RAMFS_MAGIC].includes(statfsSync(directory).type)
}

function deviceNumber(directory: string): string {
  const device = statSync(directory).dev
  const major = Math.floor(device / 2 ** 8) & 0xfff
  return `${major}:${(device & 0xff) | ((device >> 12) & 0xfff00)}`
}

function diskKind(directory: string): string {
  const link = `/sys/dev/block/${deviceNumber(directory)}`
  if (!existsSync(link)) return 'unknown disk'
  const resolved = realpathSync(link)
  const disk = existsSync(join(resolved, 'partition')) ? dirname(resolved) : resolved
  const name = basename(disk)
  if (name.startsWith('nvme')) return 'NVMe'
  if (name.startsWith('vd') || name.startsWith('xvd')) return 'virtual disk'
  if (name.startsWith('dm-') || name.startsWith('md')) return 'mapped disk'
  const rotational = join(disk, 'queue/rotational')
  return existsSync(rotational) && readFileSync(rotational, 'utf8').trim() === '1' ? 'hard disk' : 'SSD'
}

function fileSystem(directory: string): string {
  const device = ` ${deviceNumber(directory)} `
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((mount) => mount.includes(device))
  return line?.split(' - ')[1]?.split(' ')[0] ?? 'unknown file system'
}

const SYNCS = 200
const SYNC_MS_MAX = 3000
const BLOCK_BYTES = 4096

function measureSync(directory: string): number {
  const path = join(directory, 'sync-probe')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(BLOCK_BYTES, 1)
  const microseconds: number[] = []
  try {
    for (let i = 0; i < SYNCS; i++) writeSync(file, block, 0, BLOCK_BYTES, i * BLOCK_BYTES)
    fdatasyncSync(file)
    const end = performance.now() + SYNC_MS_MAX
    for (let i = 0; i < SYNCS && performance.now() < end; i++) {
      const begin = performance.now()
      writeSync(file, block, 0, BLOCK_BYTES, i * BLOCK_BYTES)
      fdatasyncSync(file)
      microseconds.push((performance.now() - begin) * 1000)
    }
  } finally {
    closeSync(file)
    unlinkSync(path)
  }
  return median(microseconds)
}

/** Linux reports processor time to programs in hundredths of a second on every architecture that Node.js runs on. */
const TICKS_PER_SECOND = 100

function statFields(path: string): readonly number[] {
  // The command's name, in parentheses, may hold blanks; after it the third field follows.
  const text = readFileSync(path, 'utf8')
  return text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
}

/** Seconds of processor time, user and system, that a process and its threads have used. */
export function processCpuSeconds(pid: number): number {
  const fields = statFields(`/proc/${pid}/stat`)
  return ((fields[11] ?? 0) + (fields[12] ?? 0)) / TICKS_PER_SECOND
}

/** The same for this process and all of its children that have ended. */
function ownCpuSeconds(): number {
  const fields = statFields('/proc/self/stat')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND
}

/** Seconds of the whole machine spent in processes or stolen by its host; interrupts belong to nobody and are left out. */
function machineBusySeconds(): number {
  const [user, nice, system, , , , , steal] =
    readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? []
  return ((user ?? 0) + (nice ?? 0) + (system ?? 0) + (steal ?? 0)) / TICKS_PER_SECOND
}

/** Starts watching; the answer is the share (0 to 1) of the machine that went to neither the server nor the benchmark. */
export function watchForeignLoad(serverPid: number): () => number {
  const foreign = (): number => machineBusySeconds() - processCpuSeconds(serverPid) - ownCpuSeconds()
  const before = { foreign: foreign(), at: performance.now() }
  return () => {
    const available = ((performance.now() - before.at) / 1000) * cpus().length
    return Math.max(0, foreign() - before.foreign) / available
  }
}

// The directory that holds everything a server stores: whose it is (FORMAT), who uses it now (LOCK), which server it is
// (server-id), and where each database's parts lie. What is in those parts is not its business.

import { DelosError } from '../base/delos-error.ts'
import type { Disk, DiskLock } from '../runtime/disk.ts'
import { makeDirDurably, readSmallFile, writeFileDurably } from '../runtime/durable-file.ts'
import type { Random } from '../runtime/runtime.ts'

/** What a data directory needs of the runtime. */
export interface DataDirectoryRuntime {
  readonly disk: Disk
  readonly random: Random
}

/** Where the parts of one database lie. Its directory exists; those of the parts are made by whoever uses them. */
export interface DatabasePaths {
  readonly directory: string
  readonly meta: string
  readonly log: string
  readonly store: string
}

/** Raised when an older build could not read the directory. */
const FORMAT_VERSION = 1
const DATABASE_NAME = /^[a-z][a-z0-9-]{0,30}$/
/** Names of our own, also on file systems that don't tell upper case from lower. */
const RESERVED = ['format', 'lock', 'server-id']
/** What may lie in a directory before it is ours: traces of a start that was cut off, and what file systems put there. */
const HARMLESS = /^(LOCK(\..*)?|FORMAT\.new|server-id(\.new)?|lost\+found)$/

/** A data directory in use by this process. */
export class DataDirectory {
  readonly path: string
  /** 64 random bits as 16 hex digits, drawn when the directory was created. */
  readonly serverId: string
  private readonly disk: Disk
  private readonly lock: DiskLock

  private constructor(path: string, serverId: string, disk: Disk, lock: DiskLock) {
    this.path = path
    this.serverId = serverId
    this.disk = disk
    this.lock = lock
  }

  /**
   * Opens, and creates if there is nothing, the data directory at `path` and holds it until `release`. Rejects with FORMAT
   * (newer, or a directory with other things in it), IN_USE (with the holder if it is known), CORRUPT, IO_ERROR.
   */
  static async open(path: string, { disk, random }: DataDirectoryRuntime): Promise<DataDirectory> {
    // Where FORMAT is, the directory was durable before it; its parent need not even be readable.
    if (!(await disk.exists(`${path}/FORMAT`))) await makeDirDurably(disk, path)
    await checkOurs(disk, path) // Before the lock, so that nothing is written into a foreign directory.
    const lock = await disk.lock(`${path}/LOCK`)
    if (lock === undefined) throw new DelosError('IN_USE', `${path} is in use${await holderOf(disk, path)}`)
    try {
      if (!(await checkOurs(disk, path))) await create(disk, random, path)
      return new DataDirectory(path, await readServerId(disk, path), disk, lock)
    } catch (thrown) {
      await lock.release()
      throw thrown
    }
  }

  /** Names of the databases that have a directory here, sorted. */
  async databases(): Promise<string[]> {
    const names = await this.disk.list(this.path)
    return names.filter(isDatabaseName)
  }

  /** The paths of database `name`, whose directory is created, durable, if it does not exist. */
  async database(name: string): Promise<DatabasePaths> {
    if (!isDatabaseName(name)) {
      throw new DelosError(
        'INVALID_ARGUMENT',
        `not a database name: ${name} (lower-case letters, digits and -, up to 31)`,
      )
    }
    const directory = `${this.path}/${name}`
    await makeDirDurably(this.disk, directory)
    return { directory, meta: `${directory}/meta`, log: `${directory}/log`, store: `${directory}/store` }
  }

  /** Lets go of the directory: last, after everything in it was closed. */
  release(): Promise<void> {
    return this.lock.release()
  }
}

/** True for what can name a database, and so a directory. */
export function isDatabaseName(name: string): boolean {
  return DATABASE_NAME.test(name) && !RESERVED.includes(name)
}

// True if the directory is one of ours and of a version that we read, false if it is as good as empty; else it throws.
async function checkOurs(disk: Disk, path: string): Promise<boolean> {
  const format = await readSmallFile(disk, `${path}/FORMAT`)
  if (format === undefined) {
    const foreign = (await disk.list(path)).find((name) => !HARMLESS.test(name))
    if (foreign === undefined) return false
    throw new DelosError('FORMAT', `${path} is not a data directory: it holds ${foreign} and no FORMAT file`)
  }
  const version = /^delos (\d+)\n$/.exec(format.toString('latin1'))?.[1]
  if (version === undefined) throw new DelosError('FORMAT', `${path}/FORMAT is not that of a data directory`)
  if (Number(version) > FORMAT_VERSION) {
    const message = `${path} has format ${version} of a newer version, this one reads up to ${FORMAT_VERSION}`
    throw new DelosError('FORMAT', message)
  }
  return true
}

// FORMAT comes last: where it is, everything else is.
async function create(disk: Disk, random: Random, path: string): Promise<void> {
  const serverId = Buffer.from(random.bytes(8)).toString('hex')
  await writeFileDurably(disk, `${path}/server-id`, Buffer.from(`${serverId}\n`))
  await writeFileDurably(disk, `${path}/FORMAT`, Buffer.from(`delos ${FORMAT_VERSION}\n`))
}

async function readServerId(disk: Disk, path: string): Promise<string> {
  const bytes = await readSmallFile(disk, `${path}/server-id`)
  const id = /^([0-9a-f]{16})\n$/.exec(bytes?.toString('latin1') ?? '')?.[1]
  if (id === undefined) throw new DelosError('CORRUPT', `${path}/server-id is missing or holds no server id`)
  return id
}

// Best effort, for the message alone: what a lock file holds is the business of the Disk.
async function holderOf(disk: Disk, path: string): Promise<string> {
  try {
    const bytes = await readSmallFile(disk, `${path}/LOCK`)
    const pid = (JSON.parse(bytes?.toString('utf8') ?? '{}') as { pid?: unknown }).pid
    return typeof pid === 'number' ? ` by process ${pid}` : ' by another process'
  } catch {
    return ' by another process'
  }
}

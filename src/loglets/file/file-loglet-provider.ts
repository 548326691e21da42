// File loglets of one directory: creating, opening after a crash, destroying, listing. Each lives in a sub-directory named
// after its nonce; the file `loglet.json` in it makes it exist, so creating ends and destroying begins with that file.
//
// One process owns the directory (the data directory's lock sees to that), and one handle each loglet.

import { crc32 } from 'node:zlib'
import { DelosError } from '../../base/delos-error.ts'
import type { LogletConfig, LogletProvider } from '../../log/loglet.ts'
import type { Disk } from '../../runtime/disk.ts'
import { readSmallFile, writeFileDurably } from '../../runtime/durable-file.ts'
import type { Clock } from '../../runtime/runtime.ts'
import { type RecoveredLoglet, recoverDirectory } from './directory-recovery.ts'
import { DiskSpace } from './disk-space.ts'
import { decodeRecipe, FileLoglet } from './file-loglet.ts'
import { FileLogletStats } from './file-loglet-stats.ts'
import { crcSeed } from './record-codec.ts'
import { SegmentWriter, type SegmentWriterOptions } from './segment-writer.ts'

const IDENTITY = 'loglet.json'
const HOME_PREFIX = 'loglet-'
const FORMAT_VERSION = 1
const NONCE = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/
const SEGMENT_BYTES_MIN = 4096

export interface FileLogletOptions {
  /** Size of a segment file, the unit of trimming. Default 64 MiB. */
  readonly segmentBytes?: number
  /** Largest entry; at most a quarter of a segment. Default 4 MiB. */
  readonly maxEntryBytes?: number
  /** About how much one write and sync covers. Default 4 MiB. */
  readonly groupBytesMax?: number
  /** Past this many waiting bytes appends are refused with OVERLOADED. Default 64 MiB. */
  readonly waitingBytesMax?: number
  /** The newest entries kept in memory. Default 8 MiB. */
  readonly cacheBytes?: number
  /** Appends are refused while the disk has fewer free bytes. Default 128 MiB. */
  readonly reserveBytes?: number
  /** Called for what happens rarely, for counters. */
  readonly onEvent?: (event: 'torn tail' | 'disk full') => void
  /** Called after each group with the time that its sync took. */
  readonly onSync?: (latencyMs: number) => void
}

const MIB = 1024 * 1024

export class FileLogletProvider implements LogletProvider {
  readonly kind = 'file'
  private readonly directory: string
  private readonly disk: Disk
  private readonly clock: Clock
  private readonly options: FileLogletOptions
  private readonly segmentBytes: number
  private readonly openLoglets = new Map<string, FileLoglet>()

  /** `directory` must exist and be durable. */
  constructor(directory: string, disk: Disk, clock: Clock, options: FileLogletOptions = {}) {
    this.directory = directory
    this.disk = disk
    this.clock = clock
    this.options = options
    this.segmentBytes = Math.max(SEGMENT_BYTES_MIN, options.segmentBytes ?? 64 * MIB)
  }

  /** The loglets that are open now: for metrics and status. */
  loglets(): readonly FileLoglet[] {
    return [...this.openLoglets.values()]
  }

  async create(config: LogletConfig): Promise<FileLoglet> {
    const home = this.home(config)
    if (await this.disk.exists(`${home}/${IDENTITY}`)) throw new DelosError('CONFLICT', `${home} exists`)
    await this.removeHome(home)
    await this.disk.makeDir(home)
    // Whole or not there at all: a creation that a crash cuts off leaves nothing that looks like a damaged loglet.
    await writeFileDurably(this.disk, `${home}/${IDENTITY}`, encodeIdentity(config.nonce))
    await this.disk.syncDir(this.directory)
    return this.start(config)
  }

  async open(config: LogletConfig): Promise<FileLoglet> {
    const home = this.home(config)
    if (this.openLoglets.has(config.nonce)) throw new DelosError('IN_USE', `${home} is open already`)
    await this.checkIdentity(home, config.nonce)
    return this.start(config)
  }

  async destroy(config: LogletConfig): Promise<void> {
    const home = this.home(config)
    await this.openLoglets.get(config.nonce)?.close()
    if (!(await this.disk.exists(home))) return
    await this.disk.remove(`${home}/${IDENTITY}`)
    await this.disk.syncDir(home)
    await this.removeHome(home)
    await this.disk.syncDir(this.directory)
  }

  /** Also what was created or destroyed half-way, so that a sweep removes it; names that no loglet can have are not ours. */
  async list(): Promise<readonly LogletConfig[]> {
    const homes = (await this.disk.list(this.directory)).filter((name) => name.startsWith(HOME_PREFIX))
    const nonces = homes.map((name) => name.slice(HOME_PREFIX.length)).filter((nonce) => NONCE.test(nonce))
    return nonces.map((nonce) => ({ kind: this.kind, params: {}, nonce }))
  }

  private home(config: LogletConfig): string {
    if (!NONCE.test(config.nonce)) throw new DelosError('INVALID_ARGUMENT', `loglet nonce ${config.nonce}`)
    return `${this.directory}/${HOME_PREFIX}${config.nonce}`
  }

  private async removeHome(home: string): Promise<void> {
    if (!(await this.disk.exists(home))) return
    for (const name of await this.disk.list(home)) await this.disk.remove(`${home}/${name}`)
    await this.disk.remove(home)
  }

  private async checkIdentity(home: string, nonce: string): Promise<void> {
    const path = `${home}/${IDENTITY}`
    const bytes = await readSmallFile(this.disk, path)
    if (!bytes) throw new DelosError('NOT_FOUND', `no file loglet ${nonce}`)
    checkIdentity(path, bytes.toString(), nonce)
  }

  /** Recovers what the directory holds, and goes on from there. */
  private async start(config: LogletConfig): Promise<FileLoglet> {
    const { disk, clock, options } = this
    const directory = this.home(config)
    const seed = crcSeed(config.nonce)
    const space = new DiskSpace(disk, directory, clock, {
      reserveBytes: options.reserveBytes ?? 128 * MIB,
      onFull: () => options.onEvent?.('disk full'),
    })
    await space.check()
    const stats = new FileLogletStats()
    const recovered = await recoverDirectory(disk, directory, seed)
    stats.cutBytes = recovered.last?.cutBytes ?? 0
    if (stats.cutBytes > 0) options.onEvent?.('torn tail')
    const tail = recovered.last?.tail ?? 0
    const sealed = recovered.last?.seal
    let loglet: FileLoglet | undefined
    const writing: SegmentWriterOptions = {
      disk,
      directory,
      segmentBytes: this.segmentBytes,
      onFailure: (error) => loglet?.stop(error),
    }
    const commit = sealed
      ? undefined
      : {
          writer: await openWriter(writing, recovered),
          seed,
          firstOffset: tail,
          groupBytesMax: options.groupBytesMax ?? 4 * MIB,
          waitingBytesMax: options.waitingBytesMax ?? 64 * MIB,
          directory,
          clock,
          space,
          stats,
          onSync: options.onSync,
        }
    loglet = new FileLoglet({
      disk,
      directory,
      clock,
      seed,
      maxEntryBytes: Math.min(options.maxEntryBytes ?? 4 * MIB, Math.floor(this.segmentBytes / 4)),
      cacheBytes: options.cacheBytes ?? 8 * MIB,
      space,
      stats,
      segments: recovered.segments,
      tail,
      successor: sealed && decodeRecipe(sealed),
      commit,
      onClosed: () => this.openLoglets.delete(config.nonce),
    })
    this.openLoglets.set(config.nonce, loglet)
    return loglet
  }
}

function openWriter(options: SegmentWriterOptions, { last }: RecoveredLoglet): Promise<SegmentWriter> {
  if (!last) return SegmentWriter.create(options, 1)
  return SegmentWriter.resume(options, last.segment.number, last.place, last.fileBytes)
}

function encodeIdentity(nonce: string): Uint8Array {
  const identity = JSON.stringify({ format: FORMAT_VERSION, nonce })
  return Buffer.from(`${identity}\n${crc32(identity)}\n`)
}

function checkIdentity(path: string, text: string, nonce: string): void {
  const [identity = '', checksum] = text.split('\n')
  if (String(crc32(identity)) !== checksum) throw new DelosError('CORRUPT', `${path}: damaged`)
  const { format, nonce: stored } = JSON.parse(identity) as { format: number; nonce: string }
  if (format > FORMAT_VERSION) throw new DelosError('FORMAT', `${path}: written by a newer version`)
  if (stored !== nonce) throw new DelosError('CORRUPT', `${path}: is of loglet ${stored}`)
}

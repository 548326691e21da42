// A metastore on one machine's disk: one small file, replaced as a whole (temporary file, sync, rename, sync of the directory).
//
//   0   8 bytes  "DELOSREG"
//   8   u32      CRC-32 of everything after it
//   12  u32      format version (1)
//   16  u64      version of the register
//   24           value
//
// The file is complete or absent at any crash; anything else is damage and is refused. One process owns the directory.

import { crc32 } from 'node:zlib'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { MetaRead, MetaStore, MetaWriteOutcome } from '../../log/metastore.ts'
import type { Disk } from '../../runtime/disk.ts'
import { readSmallFile, writeSynced } from '../../runtime/durable-file.ts'

const MAGIC = Buffer.from('DELOSREG', 'latin1')
const FORMAT_VERSION = 1
const HEADER_BYTES = 24
/** Far above any chain: a larger file is damage. */
const FILE_BYTES_MAX = 64 * 1024 * 1024
const FILE = 'register'
const TEMPORARY = 'register.tmp'

export class FileMetaStore implements MetaStore {
  private readonly disk: Disk
  private readonly directory: string
  private current: MetaRead
  private failure: DelosError | undefined
  private closed = false
  /** Writes are one at a time; the tail of the queue never rejects. */
  private queue: Promise<unknown> = Promise.resolve()

  private constructor(disk: Disk, directory: string, current: MetaRead) {
    this.disk = disk
    this.directory = directory
    this.current = current
  }

  /** `directory` must exist. Rejects with CORRUPT or FORMAT, naming the file. */
  static async open(directory: string, disk: Disk): Promise<FileMetaStore> {
    const path = `${directory}/${FILE}`
    const bytes = await readSmallFile(disk, path, FILE_BYTES_MAX)
    if (!bytes) return new FileMetaStore(disk, directory, { value: undefined, version: 0 })
    const current = decode(bytes, path)
    // After a mere process crash the rename may never have been made durable.
    await disk.syncDir(directory)
    return new FileMetaStore(disk, directory, current)
  }

  async read(): Promise<MetaRead> {
    this.mustWork()
    await this.queue
    this.mustWork()
    return this.current
  }

  write(value: Uint8Array, expectedVersion: number): Promise<MetaWriteOutcome> {
    const copy = Uint8Array.from(value)
    const outcome = this.queue.then(() => this.replace(copy, expectedVersion))
    // The caller gets the failure; the next write starts afresh.
    this.queue = outcome.catch(() => undefined)
    return outcome
  }

  async close(): Promise<void> {
    this.closed = true
    await this.queue
  }

  private async replace(value: Uint8Array, expectedVersion: number): Promise<MetaWriteOutcome> {
    this.mustWork()
    const { version } = this.current
    if (version !== expectedVersion) return { kind: 'conflict', version }
    // Until the rename nothing is changed, so a failure here is a plain one.
    await writeSynced(this.disk, `${this.directory}/${TEMPORARY}`, encode(value, version + 1))
    try {
      await this.disk.rename(`${this.directory}/${TEMPORARY}`, `${this.directory}/${FILE}`)
      await this.disk.syncDir(this.directory)
    } catch (thrown) {
      this.failure = DelosError.from(thrown, 'IO_ERROR', `replace ${this.directory}/${FILE}`)
      const message = `${this.directory}/${FILE}: unknown whether it was replaced`
      throw new DelosError('INDETERMINATE', message, { cause: thrown })
    }
    this.current = { value, version: version + 1 }
    return { kind: 'written', version: version + 1 }
  }

  private mustWork(): void {
    if (this.closed) throw new DelosError('CLOSED', `the metastore in ${this.directory} was closed`)
    if (this.failure) throw new DelosError('IO_ERROR', this.failure.message, { cause: this.failure })
  }
}

function encode(value: Uint8Array, version: number): Uint8Array {
  const writer = new ByteWriter(HEADER_BYTES + value.length)
  writer.raw(MAGIC)
  writer.u32(0)
  writer.u32(FORMAT_VERSION)
  writer.u64(version)
  writer.raw(value)
  const bytes = writer.take()
  bytes.writeUInt32BE(crc32(bytes.subarray(12)), 8)
  return bytes
}

function decode(bytes: Buffer, path: string): MetaRead {
  const damaged = (what: string) => new DelosError('CORRUPT', `${path}: ${what}`)
  if (bytes.length < HEADER_BYTES) throw damaged(`${bytes.length} bytes, at least ${HEADER_BYTES} expected`)
  if (!bytes.subarray(0, 8).equals(MAGIC)) throw new DelosError('FORMAT', `${path}: not a register`)
  if (crc32(bytes.subarray(12)) !== bytes.readUInt32BE(8)) throw damaged('checksum mismatch at byte 8')
  const format = bytes.readUInt32BE(12)
  if (format > FORMAT_VERSION) throw new DelosError('FORMAT', `${path}: format ${format} of a newer version`)
  const version = bytes.readUInt32BE(16) * 0x1_0000_0000 + bytes.readUInt32BE(20)
  return { value: Uint8Array.from(bytes.subarray(HEADER_BYTES)), version }
}

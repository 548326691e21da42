// Blobs as files below a directory, which is best on another machine's disk. A file appears whole and synced or not at all; what
// a killed put leaves behind is a file that ends in `.tmp`, which no list shows and a later process removes. A folder goes with the
// last blob in it.

import { DelosError } from '../base/delos-error.ts'
import type { Disk } from '../runtime/disk.ts'
import { makeDirDurably, parentOf, writeSynced } from '../runtime/durable-file.ts'
import type { Clock, Random } from '../runtime/runtime.ts'
import {
  BLOB_BYTES_MAX,
  type BlobBytes,
  type BlobInfo,
  type BlobPage,
  type BlobStore,
  type CallOptions,
  checkBlobName,
  type ListOptions,
} from './blob-store.ts'
import { CHECKSUM_BYTES, withChecksum, withoutChecksum } from './checked-bytes.ts'

const PAGE_MAX = 1000
const TEMPORARY = '.tmp'
/**
 * What a killed put has left is removed when it is so old, by the clocks of who began it and who looks. No put takes so long; and
 * one whose file goes all the same, since a clock is wrong, fails and can be made again: it never appears in part.
 */
const LEFT_BEHIND_MS = 24 * 3_600_000

/** A folder may go so often between being made and being written to. */
const PUT_ATTEMPTS = 5

/** The name of a file that a put writes, and when that began. */
const LEFT_BEHIND = /\.(\d{1,15})-[0-9a-f]{16}\.tmp$/

export interface DirectoryRuntime {
  readonly clock: Clock
  readonly disk: Disk
  readonly random: Random
}

export class DirectoryBlobStore implements BlobStore {
  readonly location: string
  private readonly root: string
  private readonly disk: Disk
  private readonly clock: Clock
  private readonly random: Random
  private sweptMs: number | undefined
  private readonly durable = new Set<string>()

  /** Folders are made by the first put. */
  constructor(directory: string, { clock, disk, random }: DirectoryRuntime) {
    this.root = directory.length > 1 ? directory.replace(/\/+$/, '') : directory
    this.location = `dir:${this.root}`
    this.clock = clock
    this.disk = disk
    this.random = random
  }

  async put(name: string, bytes: BlobBytes, { signal }: CallOptions = {}): Promise<void> {
    checkBlobName(name)
    goOn(signal)
    await this.sweepAtTimes()
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.putOnce(name, bytes)
      } catch (error) {
        // Another process has deleted the last blob of the folder, and the folder with it.
        const isGone = error instanceof DelosError && error.code === 'NOT_FOUND'
        if (!isGone || attempt === PUT_ATTEMPTS) throw error
      }
    }
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<Uint8Array> {
    checkBlobName(name)
    goOn(signal)
    const path = `${this.root}/${name}`
    const file = await this.disk.open(path, 'read')
    try {
      const size = await file.size()
      const sizeMax = BLOB_BYTES_MAX + CHECKSUM_BYTES
      if (size > sizeMax) throw new DelosError('CORRUPT', `${path} has ${size} bytes, at most ${sizeMax} are expected`)
      const stored = Buffer.allocUnsafeSlow(size)
      const read = await file.read(stored, 0)
      return withoutChecksum(name, stored.subarray(0, read), path)
    } finally {
      await file.close()
    }
  }

  async list(
    prefix: string,
    { after = '', max = PAGE_MAX, signal }: ListOptions & CallOptions = {},
  ): Promise<BlobPage> {
    const blobs: BlobInfo[] = []
    for await (const name of this.names('', prefix, after)) {
      goOn(signal)
      if (blobs.length === max) return { blobs, more: true }
      const bytes = await this.sizeOf(name)
      if (bytes !== undefined) blobs.push({ name, bytes })
    }
    return { blobs, more: false }
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    checkBlobName(name)
    goOn(signal)
    const path = `${this.root}/${name}`
    if (!(await this.disk.exists(path))) return
    await this.disk.remove(path)
    try {
      await this.disk.syncDir(parentOf(path))
    } catch (error) {
      if (error instanceof DelosError && error.code === 'NOT_FOUND') return // Somebody else has removed the emptied folder.
      throw error
    }
    await this.removeEmpty(parentOf(path))
  }

  async close(): Promise<void> {
    // No file stays open between calls.
  }

  private async putOnce(name: string, bytes: BlobBytes): Promise<void> {
    const path = `${this.root}/${name}`
    const folder = parentOf(path)
    if (!this.durable.has(folder)) await makeDirDurably(this.disk, folder)
    this.durable.add(folder)
    // A name of its own: another server may put the same blob at the same time.
    const nonce = Buffer.from(this.random.bytes(8)).toString('hex')
    const temporary = `${path}.${Math.floor(this.clock.wallMs())}-${nonce}${TEMPORARY}`
    try {
      await writeSynced(this.disk, temporary, withChecksum(name, bytes))
      await this.disk.rename(temporary, path)
    } catch (error) {
      this.durable.delete(folder)
      await this.disk.remove(temporary).catch(() => undefined) // Why the put failed says more.
      throw error
    }
    await this.disk.syncDir(folder)
  }

  /** That folder and those above it, as far as nothing is in them. */
  private async removeEmpty(emptied: string): Promise<void> {
    for (let folder = emptied; folder.length > this.root.length; folder = parentOf(folder)) {
      try {
        await this.disk.remove(folder)
        this.durable.delete(folder)
      } catch {
        return // There is something in it, or somebody else has removed it: and an empty folder would do no harm.
      }
    }
  }

  /** With the first put, and a day later again. */
  private async sweepAtTimes(): Promise<void> {
    const now = this.clock.monotonicMs()
    if (this.sweptMs !== undefined && now - this.sweptMs < LEFT_BEHIND_MS) return
    this.sweptMs = now
    try {
      await this.sweep('')
    } catch {
      // Somebody else removed a folder meanwhile, or the disk fails: then the put itself says so.
    }
  }

  private async sweep(folder: string): Promise<void> {
    for (const entry of await this.entries(folder)) {
      const beganMs = Number(LEFT_BEHIND.exec(entry)?.[1] ?? Number.NaN)
      if (!entry.includes('.')) await this.sweep(`${folder}${entry}/`)
      else if (this.clock.wallMs() - beganMs > LEFT_BEHIND_MS) await this.disk.remove(`${this.root}/${folder}${entry}`)
    }
  }

  /** Names below a folder (empty, or with its `/`), ascending; only folders that may hold what is asked for are looked at. */
  private async *names(folder: string, prefix: string, after: string): AsyncIterable<string> {
    const entries = (await this.entries(folder)).filter((entry) => !entry.endsWith(TEMPORARY))
    // A folder's names sort by its name and `/`, which is not how the bare name sorts.
    const ordered = entries.map((entry) => folder + entry + (entry.includes('.') ? '' : '/')).sort()
    for (const name of ordered) {
      if (!name.endsWith('/')) {
        if (name.startsWith(prefix) && name > after) yield name
      } else if ((name.startsWith(prefix) || prefix.startsWith(name)) && (name > after || after.startsWith(name))) {
        yield* this.names(name, prefix, after)
      }
    }
  }

  private async entries(folder: string): Promise<string[]> {
    const path = folder === '' ? this.root : `${this.root}/${folder.slice(0, -1)}`
    // Foreign things that no blob could be called are left alone.
    return (await this.entriesAt(path)).filter((entry) => /^[a-z0-9][a-z0-9.-]*$/.test(entry))
  }

  /** None where there is no such folder: another process may have just deleted the last blob in it. */
  private async entriesAt(path: string): Promise<string[]> {
    try {
      return await this.disk.list(path)
    } catch (error) {
      if (error instanceof DelosError && error.code === 'NOT_FOUND') return []
      throw error
    }
  }

  private async sizeOf(name: string): Promise<number | undefined> {
    try {
      const file = await this.disk.open(`${this.root}/${name}`, 'read')
      try {
        return await file.size()
      } finally {
        await file.close()
      }
    } catch (error) {
      if (error instanceof DelosError && error.code === 'NOT_FOUND') return undefined // It was deleted meanwhile.
      throw error
    }
  }
}

function goOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DelosError('CLOSED', 'the call was ended')
}

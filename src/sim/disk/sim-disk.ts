// A machine's disk as one life of a process sees it: operations take random virtual time, fail as the faults say, and
// after a crash neither touch the disk nor succeed.

import { DelosError } from '../../base/delos-error.ts'
import type { Disk, DiskFile, DiskLock } from '../../runtime/disk.ts'
import type { Counters } from '../counters.ts'
import type { DiskFaults } from '../faults.ts'
import type { Life } from '../life.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { EventQueue } from '../time/event-queue.ts'
import type { Trace } from '../trace.ts'
import type { SimFile } from './sim-file.ts'
import type { SimFileSystem } from './sim-file-system.ts'

/** What a simulated disk is made of. */
export interface SimDiskParts {
  readonly fileSystem: SimFileSystem
  readonly life: Life
  readonly queue: EventQueue
  readonly random: SeededRandom
  readonly trace: Trace
  readonly counters: Counters
  /** Read anew at each operation, so that a workload can start and end a fault. */
  readonly faults: () => DiskFaults
}

type Kind = 'read' | 'write' | 'sync' | 'names'

/** The disk of one life. Its effects happen at the call or at the end of the operation, by chance. */
export class SimDisk implements Disk {
  private readonly parts: SimDiskParts
  private readonly underWay = new Set<Operation>()
  private readonly locked = new Set<string>()

  constructor(parts: SimDiskParts) {
    this.parts = parts
    parts.life.onEnd(() => {
      const error = dead()
      for (const operation of this.underWay) operation.fail(error)
      this.underWay.clear()
      this.locked.clear()
    })
  }

  open(path: string, mode: 'read' | 'update' | 'create'): Promise<DiskFile> {
    const { fileSystem } = this.parts
    const creates = mode === 'create'
    return this.operate('names', 'open', path, () => {
      const file = creates ? fileSystem.createFile(path) : fileSystem.file(path)
      return new SimHandle(this, file, path, mode !== 'read')
    })
  }

  list(directory: string): Promise<string[]> {
    return this.operate('read', 'list', directory, () => this.parts.fileSystem.list(directory))
  }

  exists(path: string): Promise<boolean> {
    return this.operate('read', 'exists', path, () => this.parts.fileSystem.exists(path))
  }

  makeDir(directory: string): Promise<void> {
    return this.operate('names', 'make', directory, () => this.parts.fileSystem.makeDirectory(directory))
  }

  rename(from: string, to: string): Promise<void> {
    return this.operate('names', 'rename', `${from} ${to}`, () => this.parts.fileSystem.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.operate('names', 'remove', path, () => this.parts.fileSystem.remove(path))
  }

  syncDir(directory: string): Promise<void> {
    return this.operate('sync', 'syncDir', directory, () => {
      if (this.fails('syncFailureProbability')) {
        if (this.parts.random.chance(0.5)) this.parts.fileSystem.syncDirectory(directory)
        throw this.failure('sync', directory)
      }
      this.parts.fileSystem.syncDirectory(directory)
    })
  }

  freeBytes(path: string): Promise<number> {
    return this.operate('read', 'freeBytes', path, () => this.parts.fileSystem.freeBytes)
  }

  lock(path: string): Promise<DiskLock | undefined> {
    const { fileSystem } = this.parts
    return this.operate('names', 'lock', path, () => {
      if (this.locked.has(path)) return undefined
      if (!fileSystem.exists(path)) fileSystem.createFile(path)
      this.locked.add(path)
      return new SimLock(() => this.unlock(path))
    })
  }

  /** @internal One operation of this disk or of one of its files; `owner` is told its end. */
  operate<T>(kind: Kind, what: string, path: string, effect: () => T, owner?: SimHandle): Promise<T> {
    const { life, queue, random } = this.parts
    if (!life.alive) {
      owner?.noteEnd()
      return Promise.reject(dead())
    }
    return new Promise<T>((resolve, reject) => {
      const operation = new Operation(what, path, effect, resolve as (value: unknown) => void, reject, owner)
      if (random.chance(0.5)) operation.takeEffect()
      this.underWay.add(operation)
      queue.schedule(this.latencyMs(kind), () => life.pass(() => this.complete(operation)))
    })
  }

  /** @internal */
  readFile(file: SimFile, path: string, into: Uint8Array, at: number): number {
    if (this.fails('readFailureProbability')) throw this.failure('read', path)
    return file.read(into, at)
  }

  /** @internal A write that fails may have been made in part. */
  writeFile(file: SimFile, path: string, bytes: Uint8Array, at: number): void {
    const { fileSystem, random, counters } = this.parts
    if (this.fails('writeFailureProbability')) {
      file.write(bytes.subarray(0, random.below(bytes.length + 1)), at)
      throw this.failure('write', path)
    }
    const needed = file.bytesToAllocate(at, bytes.length)
    if (needed > 0 && needed > fileSystem.freeBytes) {
      const fitting = random.below(bytes.length)
      if (file.bytesToAllocate(at, fitting) <= fileSystem.freeBytes) file.write(bytes.subarray(0, fitting), at)
      counters.bump('disk full')
      throw new DelosError('DISK_FULL', `write ${path}: no space`)
    }
    file.write(bytes, at)
  }

  /** @internal */
  syncFile(file: SimFile, path: string): void {
    if (this.fails('syncFailureProbability')) {
      file.failSync(this.parts.random)
      throw this.failure('sync', path)
    }
    file.sync()
  }

  private complete(operation: Operation): void {
    // A crash in between has rejected it already, and its effect must not happen.
    if (!this.underWay.delete(operation)) return
    operation.takeEffect()
    const { what, path, error } = operation
    this.parts.trace.note(what, error === undefined ? path : `${path} ${error.code}`)
    operation.settle()
  }

  private unlock(path: string): Promise<void> {
    return this.operate('names', 'unlock', path, () => {
      this.locked.delete(path)
      this.parts.fileSystem.remove(path)
    })
  }

  private latencyMs(kind: Kind): number {
    const { random, faults } = this.parts
    const options = faults()
    if (random.chance(options.stallProbability)) return random.fraction() * options.stallMsMax
    return kind === 'sync'
      ? random.latency(options.syncLatencyMsMin, options.syncLatencyMsMax)
      : random.latency(options.latencyMsMin, options.latencyMsMax)
  }

  private fails(probability: 'readFailureProbability' | 'writeFailureProbability' | 'syncFailureProbability'): boolean {
    return this.parts.random.chance(this.parts.faults()[probability])
  }

  private failure(operation: string, path: string): DelosError {
    this.parts.counters.bump(`${operation} failed`)
    return new DelosError('IO_ERROR', `${operation} ${path}: simulated failure`)
  }
}

/** One call between its start and its end. */
class Operation {
  readonly what: string
  readonly path: string
  error: DelosError | undefined
  private readonly effect: () => unknown
  private readonly resolve: (value: unknown) => void
  private readonly reject: (error: DelosError) => void
  private readonly owner: SimHandle | undefined
  private value: unknown
  private happened = false

  constructor(
    what: string,
    path: string,
    effect: () => unknown,
    resolve: (value: unknown) => void,
    reject: (error: DelosError) => void,
    owner: SimHandle | undefined,
  ) {
    this.what = what
    this.path = path
    this.effect = effect
    this.resolve = resolve
    this.reject = reject
    this.owner = owner
  }

  /** Does what was asked, once. */
  takeEffect(): void {
    if (this.happened) return
    this.happened = true
    try {
      this.value = this.effect()
    } catch (error) {
      if (!(error instanceof DelosError)) throw error
      this.error = error
    }
  }

  settle(): void {
    if (this.error === undefined) this.resolve(this.value)
    else this.reject(this.error)
    this.owner?.noteEnd()
  }

  fail(error: DelosError): void {
    this.reject(error)
    this.owner?.noteEnd()
  }
}

class SimLock implements DiskLock {
  private readonly unlock: () => Promise<void>
  private released: Promise<void> | undefined

  constructor(unlock: () => Promise<void>) {
    this.unlock = unlock
  }

  release(): Promise<void> {
    this.released ??= this.unlock()
    return this.released
  }
}

class SimHandle implements DiskFile {
  private readonly disk: SimDisk
  private readonly file: SimFile
  private readonly path: string
  private readonly writable: boolean
  private underWay = 0
  private closing: Promise<void> | undefined
  private idle: (() => void) | undefined

  constructor(disk: SimDisk, file: SimFile, path: string, writable: boolean) {
    this.disk = disk
    this.file = file
    this.path = path
    this.writable = writable
  }

  size(): Promise<number> {
    return this.operate('read', 'size', () => this.file.size)
  }

  read(into: Uint8Array, at: number): Promise<number> {
    return this.operate('read', 'read', () => this.disk.readFile(this.file, this.path, into, at))
  }

  write(bytes: Uint8Array, at: number): Promise<void> {
    return this.operate('write', 'write', () => {
      this.requireWritable()
      this.disk.writeFile(this.file, this.path, bytes, at)
    })
  }

  sync(): Promise<void> {
    return this.operate('sync', 'sync', () => this.disk.syncFile(this.file, this.path))
  }

  truncate(size: number): Promise<void> {
    return this.operate('write', 'truncate', () => {
      this.requireWritable()
      this.file.resize(size)
    })
  }

  close(): Promise<void> {
    this.closing ??= new Promise<void>((resolve) => {
      if (this.underWay === 0) resolve()
      else this.idle = resolve
    })
    return this.closing
  }

  /** @internal */
  noteEnd(): void {
    this.underWay--
    if (this.underWay === 0) this.idle?.()
  }

  private operate<T>(kind: Kind, what: string, effect: () => T): Promise<T> {
    if (this.closing) return Promise.reject(new DelosError('IO_ERROR', `${what} ${this.path}: the file was closed`))
    this.underWay++
    return this.disk.operate(kind, what, this.path, effect, this)
  }

  private requireWritable(): void {
    if (!this.writable) throw new DelosError('IO_ERROR', `write ${this.path}: opened to read`)
  }
}

function dead(): DelosError {
  return new DelosError('IO_ERROR', 'the simulated process that opened this disk has ended')
}

// A disk on which one chosen change fails: every failure that a sequence of changes can meet, one by one.

import { DelosError } from '../../src/base/delos-error.ts'
import type { Disk, DiskFile } from '../../src/runtime/disk.ts'

/** What fails: the change with this number (from 0), before or after it took effect, with this code. */
export interface PlannedFailure {
  readonly at: number
  readonly when: 'before' | 'after'
  readonly code: 'IO_ERROR' | 'DISK_FULL'
}

export class FailingDisk implements Disk {
  /** Changes so far: open for creation, write, sync, truncate, make, rename, remove, sync of a directory. */
  changes = 0
  /** What failed, once it did. */
  failed: string | undefined
  private readonly disk: Disk
  private readonly plan: PlannedFailure | undefined

  constructor(disk: Disk, plan: PlannedFailure | undefined) {
    this.disk = disk
    this.plan = plan
  }

  async open(path: string, mode: 'read' | 'update' | 'create'): Promise<DiskFile> {
    const open = () => this.disk.open(path, mode)
    const file = mode === 'create' ? await this.change(`create ${path}`, open) : await open()
    return {
      size: () => file.size(),
      read: (into, at) => file.read(into, at),
      write: (bytes, at) => this.change(`write ${path}`, () => file.write(bytes, at)),
      sync: () => this.change(`sync ${path}`, () => file.sync()),
      truncate: (size) => this.change(`truncate ${path}`, () => file.truncate(size)),
      close: () => file.close(),
    }
  }

  list(directory: string): Promise<string[]> {
    return this.disk.list(directory)
  }

  exists(path: string): Promise<boolean> {
    return this.disk.exists(path)
  }

  makeDir(directory: string): Promise<void> {
    return this.change(`make ${directory}`, () => this.disk.makeDir(directory))
  }

  rename(from: string, to: string): Promise<void> {
    return this.change(`rename ${from}`, () => this.disk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.change(`remove ${path}`, () => this.disk.remove(path))
  }

  syncDir(directory: string): Promise<void> {
    return this.change(`sync ${directory}`, () => this.disk.syncDir(directory))
  }

  freeBytes(path: string): Promise<number> {
    return this.disk.freeBytes(path)
  }

  lock(path: string): ReturnType<Disk['lock']> {
    return this.disk.lock(path)
  }

  private async change<T>(what: string, make: () => Promise<T>): Promise<T> {
    const { plan } = this
    if (this.changes++ !== plan?.at) return make()
    this.failed = what
    if (plan.when === 'after') await make()
    throw new DelosError(plan.code, `${what}: planned failure`)
  }
}

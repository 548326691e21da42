// The file system of this machine behind the Disk contract: names, directories, free space. Files are node-file.ts, locks
// node-lock.ts. Files are made readable by their owner only: logs and stores hold what clients stored.

import fs from 'node:fs'
import type { Disk, DiskFile, DiskLock } from './disk.ts'
import { diskError, errnoOf } from './node-disk-error.ts'
import { NodeFile } from './node-file.ts'
import { takeNodeLock } from './node-lock.ts'

const FLAGS = { read: 'r', update: 'r+', create: 'wx+' } as const
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void

function call<T>(operation: string, path: string, start: (done: Callback<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    start((error, value) => (error ? reject(diskError(error, operation, path)) : resolve(value)))
  })
}

/** node:fs as a Disk. Stateless: paths are relative to the working directory unless absolute. */
export class NodeDisk implements Disk {
  async open(path: string, mode: 'read' | 'update' | 'create'): Promise<DiskFile> {
    const fd = await call<number>('open', path, (done) => fs.open(path, FLAGS[mode], FILE_MODE, done))
    return new NodeFile(fd, path)
  }

  async list(directory: string): Promise<string[]> {
    const names = await call<string[]>('list', directory, (done) => fs.readdir(directory, done))
    return names.sort()
  }

  async exists(path: string): Promise<boolean> {
    try {
      await call<fs.Stats>('stat', path, (done) => fs.lstat(path, done))
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      throw error
    }
  }

  async makeDir(directory: string): Promise<void> {
    await call('make', directory, (done) => fs.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE }, done))
  }

  rename(from: string, to: string): Promise<void> {
    return call<void>('rename', `${from} to ${to}`, (done) => fs.rename(from, to, (error) => done(error, undefined)))
  }

  async remove(path: string): Promise<void> {
    try {
      await call<void>('remove', path, (done) =>
        fs.unlink(path, (error) => {
          // Linux says EISDIR for a directory, POSIX and macOS say EPERM.
          if (error?.code === 'EISDIR' || error?.code === 'EPERM') fs.rmdir(path, (failed) => done(failed, undefined))
          else done(error, undefined)
        }),
      )
    } catch (error) {
      if (!isAbsent(error)) throw error
    }
  }

  async syncDir(directory: string): Promise<void> {
    const fd = await call<number>('open', directory, (done) => fs.open(directory, 'r', done))
    try {
      await call<void>('sync', directory, (done) => fs.fsync(fd, (error) => done(error, undefined)))
    } finally {
      await call<void>('close', directory, (done) => fs.close(fd, (error) => done(error, undefined)))
    }
  }

  async freeBytes(path: string): Promise<number> {
    const stats = await call<fs.StatsFs>('statfs', path, (done) => fs.statfs(path, done))
    return stats.bavail * stats.bsize
  }

  lock(path: string): Promise<DiskLock | undefined> {
    return takeNodeLock(path)
  }
}

// A path below something that is no directory names nothing either.
function isAbsent(error: unknown): boolean {
  const errno = errnoOf((error as Error).cause)
  return errno === 'ENOENT' || errno === 'ENOTDIR'
}

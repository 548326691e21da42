// One open file on node:fs, by raw descriptor. Not here: names and directories (node-disk.ts).
//
// Measured on ext4, 4 KiB a commit: write and fdatasync through callbacks take 0.23 ms, through FileHandle the same with
// 20 to 30 µs more CPU for each call. Writing in place (into the page cache, 2 µs) and only syncing through the thread pool
// saves 35 to 70 µs of each commit, and with another thread syncing all the time the slowest of 3 000 such writes blocked
// for 0.3 ms. So small writes are made in place.

import fs from 'node:fs'
import { DelosError } from '../base/delos-error.ts'
import type { DiskFile } from './disk.ts'
import { diskError } from './node-disk-error.ts'

const INLINE_BYTES_MAX = 64 * 1024
const DONE: Promise<void> = Promise.resolve()

/**
 * A file descriptor with a guard: after `close` it is never used again, since the system may have given the same number
 * to another file, and `close` waits for the calls under way.
 */
export class NodeFile implements DiskFile {
  private readonly fd: number
  private readonly path: string
  private underWay = 0
  private closing: Promise<void> | undefined
  private idle: (() => void) | undefined

  /** Takes over `fd`; `path` is for error messages only. */
  constructor(fd: number, path: string) {
    this.fd = fd
    this.path = path
  }

  size(): Promise<number> {
    return this.call<number>('size', (done) => fs.fstat(this.fd, (error, stats) => done(error, stats?.size ?? 0)))
  }

  read(into: Uint8Array, at: number): Promise<number> {
    return this.call<number>('read', (done) => {
      let filled = 0
      const more = () => fs.read(this.fd, into, filled, into.length - filled, at + filled, step)
      const step = (error: Error | null, count: number) => {
        filled += error ? 0 : count
        if (error || count === 0 || filled === into.length) done(error, filled)
        else more()
      }
      if (into.length === 0) done(null, 0)
      else more()
    })
  }

  write(bytes: Uint8Array, at: number): Promise<void> {
    if (bytes.length <= INLINE_BYTES_MAX) return this.writeInline(bytes, at)
    return this.call<void>('write', (done) => {
      let written = 0
      const more = () => fs.write(this.fd, bytes, written, bytes.length - written, at + written, step)
      const step = (error: Error | null, count: number) => {
        written += error ? 0 : count
        if (error || written === bytes.length) done(error, undefined)
        else more()
      }
      more()
    })
  }

  sync(): Promise<void> {
    return this.call<void>('sync', (done) => fs.fdatasync(this.fd, (error) => done(error, undefined)))
  }

  truncate(size: number): Promise<void> {
    return this.call<void>('truncate', (done) => fs.ftruncate(this.fd, size, (error) => done(error, undefined)))
  }

  close(): Promise<void> {
    this.closing ??= this.closeWhenIdle()
    return this.closing
  }

  private writeInline(bytes: Uint8Array, at: number): Promise<void> {
    if (this.closing) return this.refuse('write')
    try {
      let written = 0
      while (written < bytes.length) {
        written += fs.writeSync(this.fd, bytes, written, bytes.length - written, at + written)
      }
      return DONE
    } catch (error) {
      return Promise.reject(diskError(error, 'write', this.path))
    }
  }

  private call<T>(operation: string, start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
    if (this.closing) return this.refuse(operation)
    this.underWay++
    return new Promise<T>((resolve, reject) => {
      start((error, value) => {
        this.underWay--
        if (this.underWay === 0) this.idle?.()
        if (error) reject(diskError(error, operation, this.path))
        else resolve(value)
      })
    })
  }

  private refuse(operation: string): Promise<never> {
    return Promise.reject(new DelosError('IO_ERROR', `${operation} ${this.path}: the file was closed`))
  }

  private async closeWhenIdle(): Promise<void> {
    if (this.underWay > 0) {
      await new Promise<void>((resolve) => {
        this.idle = resolve
      })
    }
    await new Promise<void>((resolve, reject) => {
      fs.close(this.fd, (error) => (error ? reject(diskError(error, 'close', this.path)) : resolve()))
    })
  }
}

// The contract as short as it can be said; for tests and the simulator.

import { DelosError } from '../base/delos-error.ts'
import {
  type BlobBytes,
  type BlobPage,
  type BlobStore,
  type CallOptions,
  checkBlobName,
  type ListOptions,
} from './blob-store.ts'
import { withChecksum, withoutChecksum } from './checked-bytes.ts'

const PAGE_MAX = 1000

export class MemoryBlobStore implements BlobStore {
  readonly location = 'memory'
  /** As stored: tests may damage it. */
  readonly blobs = new Map<string, Uint8Array>()

  async put(name: string, bytes: BlobBytes, { signal }: CallOptions = {}): Promise<void> {
    checkBlobName(name)
    goOn(signal)
    this.blobs.set(name, Buffer.concat([...withChecksum(name, bytes)]))
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<Uint8Array> {
    checkBlobName(name)
    goOn(signal)
    const stored = this.blobs.get(name)
    if (stored === undefined) throw new DelosError('NOT_FOUND', `memory holds no ${name}`)
    return withoutChecksum(name, stored, name)
  }

  async list(prefix: string, options: ListOptions & CallOptions = {}): Promise<BlobPage> {
    goOn(options.signal)
    const { after = '', max = PAGE_MAX } = options
    const names = [...this.blobs.keys()].filter((name) => name.startsWith(prefix) && name > after).sort()
    const blobs = names.slice(0, max).map((name) => ({ name, bytes: this.blobs.get(name)?.length ?? 0 }))
    return { blobs, more: names.length > max }
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    checkBlobName(name)
    goOn(signal)
    this.blobs.delete(name)
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}

function goOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DelosError('CLOSED', 'the call was ended')
}

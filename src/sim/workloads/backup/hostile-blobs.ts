// Object storage in bad weather: calls take their time, fail before or after they had an effect, answers are damaged, and for a while
// nobody answers at all; until `calm` is set. It outlives the servers.

import { brotliCompressSync, brotliDecompressSync, inflateRawSync } from 'node:zlib'
import { DelosError } from '../../../base/delos-error.ts'
import type { BlobPage, BlobStore, ListOptions } from '../../../blobs/blob-store.ts'
import { type Compression, limitOf, PACKING } from '../../../blobs/compression.ts'
import { MemoryBlobStore } from '../../../blobs/memory-blob-store.ts'
import type { Life } from '../../life.ts'
import type { SeededRandom } from '../../seeded-random.ts'
import type { Simulation } from '../../simulation.ts'

/** Without threads, whose order nobody can repeat. */
export const SYNCHRONOUS: Compression = {
  pack: async (bytes) => brotliCompressSync(bytes, PACKING),
  unpack: async (bytes, bytesMax) => brotliDecompressSync(bytes, limitOf(bytesMax)),
  inflate: async (bytes, bytesMax) => inflateRawSync(bytes, limitOf(bytesMax)),
}

export class HostileBlobs {
  readonly inner = new MemoryBlobStore()
  calm = false
  private readonly world: Simulation
  private readonly random: SeededRandom
  private readonly failRate: number
  private readonly delayMsMax: number
  private awayUntilMs = 0

  constructor(world: Simulation) {
    this.world = world
    this.random = world.random.fork('blobs')
    this.failRate = this.random.pick([0, 0.1, 0.3])
    this.delayMsMax = this.random.pick([5, 50, 400])
  }

  /** Nobody answers for so long. */
  away(ms: number): void {
    this.world.counters.bump('blob store away')
    this.awayUntilMs = this.world.queue.nowMs + ms
  }

  /** As one process sees it: what comes back after its end comes to nobody. */
  client(life: Life): BlobStore {
    const call = <T>(what: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        this.perform(what).then(
          (value) => life.pass(() => resolve(value)),
          (error: unknown) => life.pass(() => reject(error)),
        )
      })
    const { inner } = this
    return {
      location: 'hostile',
      put: (name, bytes) => call(() => inner.put(name, bytes)),
      get: (name) => call(() => inner.get(name)),
      list: (prefix: string, options?: ListOptions): Promise<BlobPage> => call(() => inner.list(prefix, options)),
      delete: (name) => call(() => inner.delete(name)),
      close: () => inner.close(),
    }
  }

  private async perform<T>(what: () => Promise<T>): Promise<T> {
    const { delayMsMax, failRate, random, world } = this
    if (this.calm) return await what()
    await world.sleep(random.fraction() * delayMsMax)
    if (this.calm) return await what()
    const away = world.queue.nowMs < this.awayUntilMs
    if (away || random.chance(failRate / 2)) {
      world.counters.bump('blob call failed')
      throw new DelosError('UNREACHABLE', 'the service is away')
    }
    const value = await what()
    await world.sleep(random.fraction() * delayMsMax)
    if (this.calm || !random.chance(failRate / 2)) return value
    world.counters.bump('blob call done and failed')
    throw new DelosError('UNREACHABLE', 'the answer was lost')
  }
}

// A simulated file: what its readers see, what is safe on the device, and the unsynced changes between the two.

import type { SeededRandom } from '../seeded-random.ts'
import { PagedBytes } from './paged-bytes.ts'

const SECTOR_BYTES = 512

type Change =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'resize'; readonly size: number }

/** How much of what was not synced a crash leaves: nothing, a prefix of the changes, or any sectors in any version. */
export type Survival = 'none' | 'all' | 'prefix' | 'sectors'

/** One file, whatever its name. No time passes here: the disk decides when things happen. */
export class SimFile {
  readonly kind = 'file'
  private current = new PagedBytes()
  private durable = new PagedBytes()
  private changes: Change[] = []
  // Readers see what is not safe, and nobody remembers it.
  private forgotten = false

  get size(): number {
    return this.current.size
  }

  /** Bytes of the device that it takes. */
  get allocatedBytes(): number {
    return this.current.allocatedBytes
  }

  /** True if a crash could lose something of it. */
  get hasUnsynced(): boolean {
    return this.changes.length > 0
  }

  bytesToAllocate(at: number, length: number): number {
    return this.current.bytesToAllocate(at, length)
  }

  read(into: Uint8Array, at: number): number {
    return this.current.read(into, at)
  }

  write(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return
    this.current.write(bytes, at)
    this.changes.push({ kind: 'write', at, bytes: Buffer.from(bytes) })
  }

  resize(size: number): void {
    this.current.resize(size)
    this.changes.push({ kind: 'resize', size })
  }

  /** Everything so far is safe. */
  sync(): void {
    for (const change of this.changes) {
      if (change.kind === 'write') this.durable.write(change.bytes, change.at)
      else this.durable.resize(change.size)
    }
    this.changes = []
  }

  /**
   * The device refuses: some sectors are safe, and that the others are not is forgotten, so a later sync does not help.
   * Readers go on seeing what was written.
   */
  failSync(random: SeededRandom): void {
    this.durable = this.survivor('sectors', random)
    this.changes = []
    this.forgotten = true
  }

  /** Power is lost. True if something was lost with it. */
  crash(survival: Survival, random: SeededRandom): boolean {
    const had = this.hasUnsynced
    if (!had && !this.forgotten) return false
    if (had) this.durable = this.survivor(survival, random)
    this.changes = []
    this.current = this.durable.copy()
    const lost = this.forgotten || survival !== 'all'
    this.forgotten = false
    return lost
  }

  private survivor(survival: Survival, random: SeededRandom): PagedBytes {
    const { changes, durable } = this
    if (survival === 'none') return durable
    const kept = survival === 'all' ? changes.length : random.below(changes.length + 1)
    const versionOf = survival === 'sectors' ? sectorVersions(changes.length, random) : prefixVersions(kept, random)
    let { size } = durable
    changes.forEach((change, index) => {
      if (change.kind === 'write') {
        placeSectors(durable, change, (sector) => index < versionOf(sector))
        if (index < kept) size = Math.max(size, change.at + change.bytes.length)
      } else if (index < kept) {
        durable.clearFrom(change.size)
        size = change.size
      }
    })
    durable.resize(size)
    return durable
  }
}

// Each function tells how many of the changes a sector has seen.
function prefixVersions(kept: number, random: SeededRandom): (sector: number) => number {
  // The change after the prefix was under way: a part of its sectors is there.
  const torn = new Map<number, number>()
  return (sector) => remember(torn, sector, () => (random.chance(0.5) ? kept + 1 : kept))
}

function sectorVersions(changes: number, random: SeededRandom): (sector: number) => number {
  const versions = new Map<number, number>()
  return (sector) => remember(versions, sector, () => random.below(changes + 1))
}

function remember(map: Map<number, number>, key: number, make: () => number): number {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}

function placeSectors(
  target: PagedBytes,
  { at, bytes }: { readonly at: number; readonly bytes: Uint8Array },
  isKept: (sector: number) => boolean,
): void {
  const end = at + bytes.length
  for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
    if (!isKept(sector)) continue
    const from = Math.max(at, sector * SECTOR_BYTES)
    const to = Math.min(end, (sector + 1) * SECTOR_BYTES)
    target.place(bytes.subarray(from - at, to - at), from)
  }
}

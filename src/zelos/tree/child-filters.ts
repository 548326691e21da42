// Knows for busy parents which names they certainly have no child of, so that most creates need not ask the store whether
// the node exists: a miss there costs more than all the rest of a create.

/** Bounds of the memory that filters take together. */
export interface ChildFilterLimits {
  readonly parentsMax: number
  readonly namesMax: number
}

const DEFAULT_LIMITS: ChildFilterLimits = { parentsMax: 10_000, namesMax: 4 << 20 }
const SLOTS_MIN = 16

/**
 * One set of name hashes per parent, started when the parent had no children. Names are only ever added, also by updates
 * that are taken back, so that a set always covers the children that there are; it may cover more, and then the store is
 * asked. Dropping a filter is harmless. Eight bytes a name.
 */
export class ChildFilters {
  private readonly limits: ChildFilterLimits
  private readonly filters = new Map<string, HashSet>()
  private names = 0

  constructor(limits: ChildFilterLimits = DEFAULT_LIMITS) {
    this.limits = limits
  }

  /** The parent certainly has no children, and this can't be taken back: what was added before does not count. */
  start(parent: string): void {
    const before = this.filters.get(parent)
    if (before?.size === 0) return
    if (before !== undefined) this.drop(parent, before)
    else if (this.filters.size >= this.limits.parentsMax) this.dropOldest()
    this.filters.set(parent, new HashSet())
  }

  /** True if `path` certainly is no child of `parent`. */
  isAbsent(parent: string, path: string): boolean {
    const filter = this.filters.get(parent)
    return filter !== undefined && !filter.has(hashOfName(path, parent.length))
  }

  /** `path` is or may become a child of `parent`. */
  add(parent: string, path: string): void {
    const filter = this.filters.get(parent)
    if (filter === undefined) return
    if (!filter.add(hashOfName(path, parent.length))) return
    this.names++
    if (this.names > this.limits.namesMax) this.dropOldest()
  }

  clear(): void {
    this.filters.clear()
    this.names = 0
  }

  private dropOldest(): void {
    for (const [parent, filter] of this.filters) {
      this.drop(parent, filter)
      return
    }
  }

  private drop(parent: string, filter: HashSet): void {
    this.filters.delete(parent)
    this.names -= filter.size
  }
}

/** Never 0, which marks an empty slot. */
function hashOfName(path: string, from: number): number {
  let hash = 0x811c9dc5
  for (let i = from; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x2c1b3c6d)
  hash ^= hash >>> 13
  return hash === 0 ? 1 : hash >>> 0
}

/** Open addressing, at most half full. */
class HashSet {
  size = 0
  private slots = new Uint32Array(SLOTS_MIN)

  has(hash: number): boolean {
    return this.slots[this.slotOf(hash)] === hash
  }

  /** False if it was there. */
  add(hash: number): boolean {
    const slot = this.slotOf(hash)
    if (this.slots[slot] === hash) return false
    this.slots[slot] = hash
    this.size++
    if (this.size * 2 > this.slots.length) this.grow()
    return true
  }

  private slotOf(hash: number): number {
    const { slots } = this
    const mask = slots.length - 1
    let slot = hash & mask
    while (slots[slot] !== 0 && slots[slot] !== hash) slot = (slot + 1) & mask
    return slot
  }

  private grow(): void {
    const before = this.slots
    this.slots = new Uint32Array(before.length * 2)
    for (const hash of before) if (hash !== 0) this.slots[this.slotOf(hash)] = hash
  }
}

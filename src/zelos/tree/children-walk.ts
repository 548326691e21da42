// Lists very many children a few at a time, and still as they are at one moment, the end: what comes and goes meanwhile among those that
// were listed already is put in and taken out. Not here: who waits for it, and how much is done at once (tree-walks.ts).

import { type Key, keyText, textOfKey } from '../../base/key.ts'
import type { KeyRange, ReadTx } from '../../store/local-store.ts'
import { childNameKey, childRange, nodeKey } from './key-space.ts'
import { parentOf } from './node-path.ts'
import type { TreeChange } from './tree-updates.ts'
import type { Walk } from './tree-walk.ts'

/** Of a part: what one that is put in may move. */
const PART_NAMES_MAX = 1_000

/** The names from one on, up to the next part, in the order of their UTF-8 bytes. */
interface Part {
  readonly from: Key
  names: string[]
}

/**
 * About 0.5 µs a child, and 1 µs for each that comes or goes meanwhile: the store is not asked again. Ends, since a slice of it sees
 * more than a slice of apply creates.
 */
export class ChildrenWalk implements Walk {
  /** More than were asked for: the walk has ended early. */
  isTooMuch = false
  private readonly parent: string
  private readonly range: KeyRange
  private readonly bytesMax: number
  /** In order, without gaps. */
  private readonly parts: Part[] = []
  /** Names below this one are listed. */
  private reached: Key = ''
  private bytes = 0
  private isComplete = false

  /** `bytesMax`: of the names, four a name added, as they are counted in a reply. */
  constructor(parent: string, bytesMax: number) {
    this.parent = parent
    this.range = childRange(parent)
    this.bytesMax = bytesMax
  }

  step(reader: ReadTx, rows: number): boolean {
    if (!this.isComplete) this.advance(reader, rows)
    this.isTooMuch = this.bytes > this.bytesMax
    return this.isComplete || this.isTooMuch
  }

  /**
   * A node came or went. May be told of one that was listed as it is already, where the walk has begun between a commit and the end of
   * its news.
   */
  changed({ type, path }: TreeChange): void {
    if (type === 'dataChanged' || parentOf(path) !== this.parent) return
    const name = childNameKey(nodeKey(path), this.range)
    if (name >= this.reached && !this.isComplete) return
    const { names } = this.parts[this.partOf(name)] as Part
    const at = placeOf(name, names)
    const isListed = at < names.length && keyText(names[at] as string) === name
    if (isListed === (type === 'created')) return
    if (isListed) names.splice(at, 1)
    else names.splice(at, 0, textOfKey(name))
    this.bytes += isListed ? -bytesOf(name) : bytesOf(name)
    if (names.length > PART_NAMES_MAX) this.divide(this.partOf(name))
  }

  /** In the order of their UTF-8 bytes. */
  names(): string[] {
    return this.parts.flatMap(({ names }) => names)
  }

  private advance(reader: ReadTx, rows: number): void {
    const { range } = this
    const part: Part = { from: this.reached, names: [] }
    const rest = { from: range.from + this.reached, to: range.to }
    let last: Key | undefined
    for (const [key] of reader.scan(rest, { keysOnly: true, limit: rows })) {
      last = childNameKey(key, range)
      this.bytes += bytesOf(last)
      part.names.push(textOfKey(last))
    }
    this.parts.push(part)
    this.isComplete = part.names.length < rows
    if (last !== undefined) this.reached = `${last}\x00`
  }

  private divide(at: number): void {
    const part = this.parts[at] as Part
    const names = part.names.splice(part.names.length >> 1)
    this.parts.splice(at + 1, 0, { from: keyText(names[0] as string), names })
  }

  private partOf(name: Key): number {
    let [low, high] = [0, this.parts.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((this.parts[middle] as Part).from <= name) low = middle
      else high = middle
    }
    return low
  }
}

/** Of the first that is not before it. */
function placeOf(name: Key, names: readonly string[]): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (keyText(names[middle] as string) < name) low = middle + 1
    else high = middle
  }
  return low
}

function bytesOf(name: Key): number {
  return name.length + 4
}

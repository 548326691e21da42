// Looks at many nodes a few at a time: where a look has come to is kept, so that it can go on later, on the tree as it is then. What
// changes meanwhile may be seen or not, as in ZooKeeper. Not here: who waits for it, and how much is done at once (tree-walks.ts).

import type { KeyRange, ReadTx } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'
import type { SessionId } from '../znode.ts'
import { descendantRange, ephemeralPath, ephemeralRange } from './key-space.ts'
import { levelOf, pathKey } from './node-path.ts'
import type { TreeChange } from './tree-updates.ts'

export interface Walk {
  /** Looks at `rows` more at most. True if there are no more. */
  step(reader: ReadTx, rows: number): boolean
  /** This was told since the last step; perhaps before the first. */
  changed?(change: TreeChange): void
}

/** How many nodes are below a path that is not the root. About 0.3 µs a node. */
export class DescendantCount implements Walk {
  count = 0
  private readonly top: string
  private level: number
  private range: KeyRange
  private ofLevel = 0

  constructor(top: string) {
    this.top = top
    this.level = levelOf(top) + 1
    this.range = descendantRange(top, this.level)
  }

  step(reader: ReadTx, rows: number): boolean {
    for (let left = rows; left > 0; this.nextLevel()) {
      left -= this.scan(reader, left)
      if (left > 0 && this.ofLevel === 0) return true
      if (left === 0) return false
    }
    return false
  }

  /** How many of the level there were, `rows` at most. */
  private scan(reader: ReadTx, rows: number): number {
    let found = 0
    let last = ''
    for (const [key] of reader.scan(this.range, { limit: rows, keysOnly: true })) {
      found++
      last = key
    }
    this.count += found
    this.ofLevel += found
    if (found > 0) this.range = behind(last, this.range)
    return found
  }

  private nextLevel(): void {
    this.ofLevel = 0
    this.level++
    this.range = descendantRange(this.top, this.level)
  }
}

/** The ephemeral nodes of a session whose paths start with a text, in the order of their bytes. About 1 µs a node. */
export class EphemeralPaths implements Walk {
  readonly paths: string[] = []
  /** More than were asked for: the walk has ended early. */
  isTooMuch = false
  private range: KeyRange
  private bytesLeft: number

  /** `bytesMax`: of the paths, four a path added, as they are counted in a reply. */
  constructor(session: SessionId, prefix: string, bytesMax: number) {
    this.range = rangeOfPrefix(ephemeralRange(session).from + pathKey(prefix))
    this.bytesLeft = bytesMax
  }

  step(reader: ReadTx, rows: number): boolean {
    let found = 0
    let last = ''
    for (const [key] of reader.scan(this.range, { limit: rows, keysOnly: true })) {
      found++
      last = key
      const path = ephemeralPath(key)
      this.bytesLeft -= Buffer.byteLength(path) + 4
      if (this.bytesLeft < 0) {
        this.isTooMuch = true
        return true
      }
      this.paths.push(path)
    }
    if (found < rows) return true
    this.range = behind(last, this.range)
    return false
  }
}

function behind(key: string, { to }: KeyRange): KeyRange {
  const from = `${key}\x00`
  return to === undefined ? { from } : { from, to }
}

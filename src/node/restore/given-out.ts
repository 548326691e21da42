// How many zxids, or positions of tables, behind the restored one may have been given out already: by the part of the history that is
// lost, and by histories that were restored from it earlier. A new history goes on above all of them.

import type { LogPos } from '../../log/position.ts'
import type { BackupHistory } from './backup-catalog.ts'

/** What a history may have given out that is not in its backup, and more: half an hour at two million a second. */
const UNSEEN = 2 ** 32
/** Past it they would run out. */
const BEHIND_MAX = 2 ** 50
/** Compressed a thousandfold at most, DEFLATE's limit. */
const INFLATED_MAX = 1024

/**
 * Behind the content of `history` below `tail`. `all`: what there is in the backup; a history that was restored from one of these and is
 * backed up elsewhere, or nowhere, is not known.
 */
export function givenOutBehind(all: readonly BackupHistory[], history: BackupHistory, tail: LogPos): number {
  let [root, from] = [history, tail]
  // Up to the first one: the point that this one was restored from is further back still, and others may have been restored from there.
  for (let above = without(all, root); ; above = without(above, root)) {
    const { restored } = root.about
    const parent = above.find(({ about }) => about.historyId === restored?.historyId)
    if (restored === undefined || parent === undefined) return countTree(all, root, from)
    ;[root, from] = [parent, (restored.position + 1) as LogPos]
  }
}

/** Behind `tail` in that history, and in all that were restored from it. */
function countTree(all: readonly BackupHistory[], history: BackupHistory, tail: LogPos): number {
  const others = without(all, history)
  const restored = others.filter(({ about }) => about.restored?.historyId === history.about.historyId)
  // One that was restored from further back has gone on above more.
  const first = Math.min(tail, ...restored.map(({ about }) => (about.restored?.position ?? 0) + 1)) as LogPos
  return restored.reduce((sum, other) => sum + countTree(others, other, 0 as LogPos), countBehind(history, first))
}

function without(all: readonly BackupHistory[], history: BackupHistory): BackupHistory[] {
  return all.filter(({ about }) => about.historyId !== history.about.historyId)
}

/** Every one of them was taken by an update in the log, and no update is shorter than a byte. */
function countBehind({ segments }: BackupHistory, tail: LogPos): number {
  const bytes = segments.reduce((sum, { bytes, to }) => (to > tail ? sum + bytes : sum), 0)
  return Math.min(bytes * INFLATED_MAX, BEHIND_MAX) + UNSEEN
}

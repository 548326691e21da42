// What the blobs of a backup are called. Restore needs nothing but a list of them.
//
//   DATABASE/histories/HISTORY.about                        whose it is; written first
//   DATABASE/HISTORY/log/FROM-TO.segment                    the log's entries in [FROM, TO)
//   DATABASE/HISTORY/snapshot/CURSOR/NUMBER-BYTES.part      rows, in the order of their keys; BYTES: how large a part may be
//   DATABASE/HISTORY/snapshot/CURSOR/complete.manifest      written last: without it there is no snapshot
//
// Positions have 16 digits, so that the order of names is that of positions. Whoever uploads the same snapshot again, or at the same
// time, overwrites parts by the same ones: with other sizes they are others, and have other names (earlier versions: NUMBER.part).

import type { LogPos } from '../../log/position.ts'

const POSITION_DIGITS = 16
const PART_DIGITS = 8

/** A range of the log, as a name says it. */
export interface SegmentRange {
  readonly from: LogPos
  readonly to: LogPos
}

/** A snapshot, and how it is cut. */
export interface PartsOf {
  readonly cursor: LogPos
  readonly partBytes: number | undefined
}

export class BackupNames {
  readonly about: string
  /** Of all other blobs of one history: ends with a slash. */
  private readonly root: string

  constructor(database: string, historyId: string) {
    this.about = `${aboutPrefix(database)}${historyId}.about`
    this.root = `${database}/${historyId}/`
  }

  get log(): string {
    return `${this.root}log/`
  }

  get snapshots(): string {
    return `${this.root}snapshot/`
  }

  segment({ from, to }: SegmentRange): string {
    return `${this.log}${position(from)}-${position(to)}.segment`
  }

  snapshot(cursor: LogPos): string {
    return `${this.snapshots}${position(cursor)}/`
  }

  part({ cursor, partBytes }: PartsOf, number: number): string {
    const size = partBytes === undefined ? '' : `-${partBytes}`
    return `${this.snapshot(cursor)}${String(number).padStart(PART_DIGITS, '0')}${size}.part`
  }

  manifest(cursor: LogPos): string {
    return `${this.snapshot(cursor)}complete.manifest`
  }
}

/** Undefined for what is not a segment's name. */
export function segmentOf(name: string): SegmentRange | undefined {
  const match = /\/log\/(\d{16})-(\d{16})\.segment$/.exec(name)
  if (match === null) return undefined
  const range = { from: Number(match[1]) as LogPos, to: Number(match[2]) as LogPos }
  return range.from < range.to && Number.isSafeInteger(range.to) ? range : undefined
}

/** The cursor of the snapshot that this blob belongs to. */
export function snapshotOf(name: string): { readonly cursor: LogPos; readonly complete: boolean } | undefined {
  const match = /\/snapshot\/(\d{16})\/(complete\.manifest|\d{8}(?:-\d+)?\.part)$/.exec(name)
  if (match === null) return undefined
  return { cursor: Number(match[1]) as LogPos, complete: match[2] === 'complete.manifest' }
}

/** Of the blobs that say which histories there are. */
export function aboutPrefix(database: string): string {
  return `${database}/histories/`
}

function position(pos: LogPos): string {
  return String(pos).padStart(POSITION_DIGITS, '0')
}

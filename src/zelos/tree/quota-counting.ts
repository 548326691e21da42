// Counts what is below a path, for a quota that begins, a piece an update: a tree of a million nodes must not hold the servers up.
// Nodes come in the order of their keys, level by level; what changes before the place that was reached is counted by the change,
// what changes behind it when its turn comes.
//
// While it goes on it has a record under `q`, by the path of the quota: u8 format = 1, varint level, u8 1 if nodes of the level were
// found, string key of the last one, '' at the beginning of a level.

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Key } from '../../base/key.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { countingKey, countingPath, countingRange, dataKeyOf, descendantRange, nodeKey } from './key-space.ts'
import { inlineDataLengthOf } from './node-codec.ts'
import { levelOf } from './node-path.ts'

const FORMAT = 1

/** Nodes of one piece: some 1 ms. */
export const PIECE_NODES = 500

/** What a piece has found. */
export interface Piece {
  readonly nodes: number
  readonly bytes: number
}

interface Place {
  readonly level: number
  readonly found: boolean
  readonly last: Key
}

/** Counts from the children of `top` on. */
export function beginCounting(tx: ReadWriteTx, quota: string, top: string): void {
  write(tx, quota, { level: levelOf(top) + 1, found: false, last: '' })
}

/** Nothing is counted any more. */
export function endCounting(tx: ReadWriteTx, quota: string): void {
  tx.delete(countingKey(quota))
}

/** A quota that is not counted to its end; the first by its path. */
export function unfinishedCounting(reader: ReadTx): string | undefined {
  for (const [key] of reader.scan(countingRange(), { limit: 1, keysOnly: true })) return countingPath(key)
  return undefined
}

/** Has the count passed this place in the tree, or ended? */
export function isCounted(tx: ReadTx, quota: string, path: string): boolean {
  const place = read(tx, quota)
  if (place === undefined) return true
  const level = levelOf(path)
  return level < place.level || (level === place.level && nodeKey(path) <= place.last)
}

/** The next piece of what is below `top`; undefined if it is not being counted. */
export function countPiece(tx: ReadWriteTx, quota: string, top: string): Piece | undefined {
  const begun = read(tx, quota)
  if (begun === undefined) return undefined
  let place: Place = begun
  let nodes = 0
  let bytes = 0
  while (nodes < PIECE_NODES) {
    const { level, last }: Place = place
    const { from, to } = descendantRange(top, level)
    const range = { from: last === '' ? from : `${last}\x00`, ...(to !== undefined && { to }) }
    const before = nodes
    for (const [key, record] of tx.scan(range, { limit: PIECE_NODES - nodes })) {
      nodes++
      bytes += inlineDataLengthOf(record) ?? tx.get(dataKeyOf(key, level))?.length ?? 0
      place = { level, found: true, last: key }
    }
    if (nodes === PIECE_NODES) break
    if (nodes === before && !place.found) {
      endCounting(tx, quota)
      return { nodes, bytes }
    }
    place = { level: level + 1, found: false, last: '' }
  }
  write(tx, quota, place)
  return { nodes, bytes }
}

function write(tx: ReadWriteTx, quota: string, { level, found, last }: Place): void {
  const writer = new ByteWriter(64)
  writer.u8(FORMAT)
  writer.varint(level)
  writer.u8(Number(found))
  writer.string(last)
  tx.put(countingKey(quota), writer.toBytes())
}

function read(reader: ReadTx, quota: string): Place | undefined {
  const record = reader.get(countingKey(quota))
  if (record === undefined) return undefined
  const bytes = new ByteReader(record)
  const format = bytes.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `record of a count of format ${format}`)
  return { level: bytes.varint(), found: bytes.u8() === 1, last: bytes.string() }
}

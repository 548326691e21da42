// The rows of LogBackup's key range. Stored formats, each begins with u8 format = 1; integers are varints:
//
//   h            history id (length, text) · start · wall clock ms of the beginning · end · first · bytes of segments
//   c <from>     claim · position last heard · to · u8 1 if done · server id
//   k            claim · position last heard · server id: of the snapshot
//   s <cursor>   wall clock ms · rows · bytes
//   g <from>     to · wall clock ms · reason
//
// Not here: what they mean (backup-state.ts).

import { ByteReader } from '../../base/byte-reader.ts'
import { ByteWriter } from '../../base/byte-writer.ts'
import { DelosError } from '../../base/delos-error.ts'
import { type Key, keyAfterPrefix, keyUint, uintOfKey } from '../../base/key.ts'
import type { LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx, Row } from '../../store/local-store.ts'
import { rangeOfPrefix } from '../../store/sub-store.ts'

/** Which history is backed up. */
export interface BackedUpHistory {
  readonly historyId: string
  readonly start: LogPos
  readonly beganMs: number
}

/** Somebody's promise to upload something; named by the position of the entry that made it or took it over. */
export interface HeldClaim {
  readonly id: LogPos
  readonly serverId: string
  readonly lastHeard: LogPos
}

export interface SegmentClaim extends HeldClaim {
  readonly from: LogPos
  readonly to: LogPos
  /** Uploaded, while something before it is not. */
  readonly done: boolean
}

export interface KeptSnapshot {
  readonly cursor: LogPos
  readonly wallMs: number
  readonly rows: number
  readonly bytes: number
}

/** [from, to) can't be restored. */
export interface BackupGap {
  readonly from: LogPos
  readonly to: LogPos
  readonly wallMs: number
  readonly reason: string
}

export interface BackupHead {
  readonly history: BackedUpHistory
  readonly end: LogPos
  readonly first: LogPos
  readonly segmentBytes: number
}

export interface LoadedRows {
  readonly head: BackupHead | undefined
  readonly claims: readonly SegmentClaim[]
  readonly snapshotClaim: HeldClaim | undefined
  readonly snapshots: readonly KeptSnapshot[]
  readonly gaps: readonly BackupGap[]
}

const FORMAT = 1
const writer = new ByteWriter(256)

export class BackupRows {
  private readonly prefix: Key

  constructor(prefix: Key) {
    this.prefix = prefix
  }

  load(tx: ReadTx): LoadedRows {
    const stored = tx.get(`${this.prefix}h`)
    const held = tx.get(`${this.prefix}k`)
    return {
      head: stored === undefined ? undefined : readHead(readerOf(stored)),
      claims: this.all(tx, 'c', (from, reader) => {
        const [id, lastHeard, to] = [pos(reader), pos(reader), pos(reader)]
        return { id, lastHeard, from: from as LogPos, to, done: reader.u8() === 1, serverId: reader.string() }
      }),
      snapshotClaim: held === undefined ? undefined : readHeld(readerOf(held)),
      snapshots: this.all(tx, 's', (cursor, reader) => {
        const [wallMs, rows, bytes] = [reader.varint(), reader.varint(), reader.varint()]
        return { cursor: cursor as LogPos, wallMs, rows, bytes }
      }),
      gaps: this.all(tx, 'g', (from, reader) => {
        const [to, wallMs] = [pos(reader), reader.varint()]
        return { from: from as LogPos, to, wallMs, reason: reader.string() }
      }),
    }
  }

  putHead(tx: ReadWriteTx, { end, first, history, segmentBytes }: BackupHead): void {
    begin()
    writer.string(history.historyId)
    for (const value of [history.start, history.beganMs, end, first, segmentBytes]) writer.varint(value)
    tx.put(`${this.prefix}h`, writer.toBytes())
  }

  putClaim(tx: ReadWriteTx, { done, from, id, lastHeard, serverId, to }: SegmentClaim): void {
    begin()
    for (const value of [id, lastHeard, to]) writer.varint(value)
    writer.u8(Number(done))
    writer.string(serverId)
    tx.put(this.key('c', from), writer.toBytes())
  }

  deleteClaim(tx: ReadWriteTx, { from }: SegmentClaim): void {
    tx.delete(this.key('c', from))
  }

  putSnapshotClaim(tx: ReadWriteTx, claim: HeldClaim | undefined): void {
    if (claim === undefined) {
      tx.delete(`${this.prefix}k`)
      return
    }
    begin()
    writer.varint(claim.id)
    writer.varint(claim.lastHeard)
    writer.string(claim.serverId)
    tx.put(`${this.prefix}k`, writer.toBytes())
  }

  putSnapshot(tx: ReadWriteTx, { bytes, cursor, rows, wallMs }: KeptSnapshot): void {
    begin()
    for (const value of [wallMs, rows, bytes]) writer.varint(value)
    tx.put(this.key('s', cursor), writer.toBytes())
  }

  deleteSnapshot(tx: ReadWriteTx, cursor: LogPos): void {
    tx.delete(this.key('s', cursor))
  }

  putGap(tx: ReadWriteTx, { from, reason, to, wallMs }: BackupGap): void {
    begin()
    writer.varint(to)
    writer.varint(wallMs)
    writer.string(reason)
    tx.put(this.key('g', from), writer.toBytes())
  }

  deleteGap(tx: ReadWriteTx, { from }: BackupGap): void {
    tx.delete(this.key('g', from))
  }

  /** Everything but the engine's switch. */
  clear(tx: ReadWriteTx): void {
    const keys: Key[] = []
    for (const [key] of tx.scan({ from: `${this.prefix}\x01`, to: keyAfterPrefix(this.prefix) })) keys.push(key)
    for (const key of keys) tx.delete(key)
  }

  private key(kind: string, at: LogPos): Key {
    return this.prefix + kind + keyUint(at)
  }

  private all<T>(tx: ReadTx, kind: string, read: (at: number, reader: ByteReader) => T): T[] {
    const start = this.prefix + kind
    const rows: Row[] = [...tx.scan(rangeOfPrefix(start))]
    return rows.map(([key, value]) => read(uintOfKey(key, start.length), readerOf(value)))
  }
}

function readHead(reader: ByteReader): BackupHead {
  const historyId = reader.string()
  const [start, beganMs, end, first] = [pos(reader), reader.varint(), pos(reader), pos(reader)]
  return { history: { historyId, start, beganMs }, end, first, segmentBytes: reader.varint() }
}

function readHeld(reader: ByteReader): HeldClaim {
  return { id: pos(reader), lastHeard: pos(reader), serverId: reader.string() }
}

function pos(reader: ByteReader): LogPos {
  return reader.varint() as LogPos
}

function begin(): void {
  writer.reset()
  writer.u8(FORMAT)
}

function readerOf(stored: Uint8Array): ByteReader {
  const reader = new ByteReader(stored)
  const format = reader.u8()
  if (format !== FORMAT) throw new DelosError('FORMAT', `a record of LogBackup has format ${format}`)
  return reader
}

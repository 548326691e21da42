// Several entries as the payload of one: the stored format of a batch (golden files in testdata/entries). The header says
// how many; the payload is one part after the other.
//
//   header  kind 16 · format 1 · varint count
//   part    varint length of the body · body (entry-codec)

import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import { OWN_KINDS_FROM } from '../engine/engine-flags.ts'
import type { Entry } from '../engine/entry.ts'
import { bodySizeBound, readEntryBody, writeEntryBody } from '../engine/entry-codec.ts'

const KIND_BATCH = OWN_KINDS_FROM
const FORMAT = 1

/** Bytes that a part takes besides its body, at most. */
export const PART_OVERHEAD_BYTES = 5

/** Bytes of a part, at most; within a few bytes of the truth. */
export function partSizeBound(entry: Entry): number {
  return PART_OVERHEAD_BYTES + bodySizeBound(entry)
}

const scratch = new ByteWriter(1024)

/** Appends one part. An entry without headers is copied once, straight into `writer`. */
export function writePart(writer: ByteWriter, entry: Entry): void {
  if (entry.headers.size === 0) {
    writer.varint(bodySizeBound(entry))
    writeEntryBody(writer, entry)
    return
  }
  scratch.reset()
  writeEntryBody(scratch, entry)
  writer.bytes(scratch.peek())
}

/** The header of an entry whose payload is `count` parts. */
export function batchMarker(count: number): Uint8Array {
  scratch.reset()
  scratch.u8(KIND_BATCH)
  scratch.u8(FORMAT)
  scratch.varint(count)
  return scratch.toBytes()
}

/** The parts of a batch, as views of `payload`; each one's index is its place. CORRUPT if header and payload disagree. */
export function readBatch(marker: Uint8Array, payload: Uint8Array): Entry[] {
  const header = new ByteReader(marker)
  const kind = header.u8()
  const format = header.u8()
  if (kind !== KIND_BATCH || format !== FORMAT) {
    throw new DelosError('FORMAT', `batch header of kind ${kind} and format ${format}, this version reads ${FORMAT}`)
  }
  const count = header.varint()
  // Each part takes at least two bytes: a damaged count must not make room for billions.
  if (count > payload.length / 2)
    throw new DelosError('CORRUPT', `a batch of ${count} parts in ${payload.length} bytes`)
  const reader = new ByteReader(payload)
  const parts = new Array<Entry>(count)
  for (let i = 0; i < count; i++) {
    const length = reader.varint()
    const end = reader.position + length
    if (length > reader.remaining)
      throw new DelosError('CORRUPT', `part ${i} of a batch needs ${length} bytes, ${reader.remaining} left`)
    parts[i] = readEntryBody(reader, end, i)
    if (reader.position !== end)
      throw new DelosError('CORRUPT', `part ${i} of a batch ends at ${reader.position}, not at ${end}`)
  }
  if (reader.remaining !== 0)
    throw new DelosError('CORRUPT', `${reader.remaining} bytes follow the last part of a batch`)
  return parts
}

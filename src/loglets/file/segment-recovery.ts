// Finding the end of a file loglet after a crash: what is durable, what is a torn last group, what is damage.
//
// A group is written only after every group before it was synced, and each record names the start of its group. So at the
// first place that holds no valid record, with offset o: a valid record further on whose group began past o proves that o
// was durable once, hence damage (CORRUPT, nothing is cut). Without such a record this is a group whose sync never
// completed: it is cut, and its bytes are overwritten with zeros, synced, before anything is appended, so that no part of
// it ever comes back as valid.
//
// The last valid group is written again before it is believed: if its sync failed and only the process died, it reads as
// written, and no later sync would save it.

import { DelosError } from '../../base/delos-error.ts'
import type { Disk, DiskFile } from '../../runtime/disk.ts'
import { decodeSegmentHeader, KIND_SEAL, readRecord, SEGMENT_HEADER_BYTES, type SegmentHeader } from './record-codec.ts'
import { Segment } from './segment.ts'

const ZEROS = Buffer.alloc(64 * 1024)
const BLOCK_BYTES = 4096

/** What the last segment holds. */
export interface RecoveredTail {
  readonly segment: Segment
  /** First unwritten offset. */
  readonly tail: number
  /** Where the next record goes. */
  readonly place: number
  /** Size of the file: everything past `place` is zeros. */
  readonly fileBytes: number
  /** Payload of the seal record, if the loglet is sealed. */
  readonly seal: Buffer | undefined
  /** Bytes of a torn group that were cut. */
  readonly cutBytes: number
}

/** The header of a segment file (undefined if it has none that is whole) and the file's size. FORMAT if from the future. */
export async function readSegmentHeader(
  disk: Disk,
  path: string,
  seed: number,
): Promise<{ readonly header: SegmentHeader | undefined; readonly fileBytes: number }> {
  const file = await disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
    const header = decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)), seed)
    if (header === 'newer') throw new DelosError('FORMAT', `${path}: written by a newer version`)
    return { header, fileBytes: await file.size() }
  } finally {
    await file.close()
  }
}

/** Scans the last segment with a header, cuts a torn group, and refuses damage with CORRUPT. */
export async function recoverTail(
  disk: Disk,
  path: string,
  header: SegmentHeader,
  seed: number,
): Promise<RecoveredTail> {
  const file = await disk.open(path, 'update')
  try {
    const bytes = await readAll(file)
    const segment = new Segment(disk, path, header, seed, SEGMENT_HEADER_BYTES)
    let place = SEGMENT_HEADER_BYTES
    let lastGroup = 0
    let tail = header.firstOffset
    let seal: Buffer | undefined
    while (!seal) {
      const record = readRecord(bytes, place, header.segment, seed)
      if ('needs' in record || record.offset !== tail) break
      // The header was written with the first group.
      if (record.groupStart === record.offset && place > SEGMENT_HEADER_BYTES) lastGroup = place
      if (record.kind === KIND_SEAL) {
        seal = Buffer.from(bytes.subarray(record.payloadStart, record.payloadEnd))
      } else {
        tail++
      }
      place = record.end
      segment.noteRecord(tail, place)
    }
    const evidence = findGroupPast(bytes, place, header.segment, seed, tail)
    if (evidence !== undefined) {
      const what = seal ? 'records follow the seal' : `a later record at byte ${evidence} proves that it was durable`
      throw new DelosError('CORRUPT', `${path}: damaged at byte ${place}, where offset ${tail} belongs; ${what}`)
    }
    await file.write(bytes.subarray(lastGroup, place), lastGroup)
    const cutBytes = await zeroFrom(file, bytes, place)
    segment.bytes = place
    return { segment, tail, place, fileBytes: bytes.length, seal, cutBytes }
  } finally {
    await file.close()
  }
}

/**
 * A file after the last one with a header: prepared and unused, or its first group is torn. Rejects with CORRUPT if it
 * proves that `tail` was durable.
 */
export async function checkUnused(disk: Disk, path: string, number: number, seed: number, tail: number): Promise<void> {
  const file = await disk.open(path, 'read')
  try {
    const evidence = findGroupPast(await readAll(file), 0, number, seed, tail)
    if (evidence === undefined) return
    throw new DelosError(
      'CORRUPT',
      `${path}: the header is damaged; a record at byte ${evidence} proves that it was durable`,
    )
  } finally {
    await file.close()
  }
}

async function readAll(file: DiskFile): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(await file.size())
  return bytes.subarray(0, await file.read(bytes, 0))
}

// Where a valid record lies, at or past `from`, whose group began after `tail`.
function findGroupPast(bytes: Buffer, from: number, segment: number, seed: number, tail: number): number | undefined {
  let at = from
  while (at < bytes.length) {
    if (at % BLOCK_BYTES === 0 && isZero(bytes, at, Math.min(at + BLOCK_BYTES, bytes.length))) {
      at += BLOCK_BYTES
      continue
    }
    const record = readRecord(bytes, at, segment, seed)
    if (!('needs' in record)) {
      if (record.groupStart > tail) return at
      at = record.end
    } else at += 8
  }
  return undefined
}

function isZero(bytes: Buffer, from: number, to: number): boolean {
  return bytes.compare(ZEROS, 0, to - from, from, to) === 0
}

// Overwrites what is not zero at or past `place`; returns how many bytes that spans.
async function zeroFrom(file: DiskFile, bytes: Buffer, place: number): Promise<number> {
  let end = bytes.length
  while (end > place) {
    const from = Math.max(place, end - BLOCK_BYTES)
    if (!isZero(bytes, from, end)) break
    end = from
  }
  for (let at = place; at < end; at += ZEROS.length) {
    await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at)
  }
  // Also without a cut: after a mere process crash, what was read may never have been synced.
  await file.sync()
  return end - place
}

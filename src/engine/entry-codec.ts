// Entries as bytes: the stored format of the log (golden files in testdata/entries). One entry has exactly one encoding, so
// equal entries have equal bytes. Not here: what a header means; each engine knows its own alone.
//
//   entry   version 0xd1 · body
//   body    shape (bit 0: a payload follows, bit 1: headers follow) · [headers] · [payload: the rest of the bytes]
//   headers varint count (1 or more) · per header, names ascending: name · flags (bit 0: must understand) · bytes
//   name and bytes are preceded by their length as varint. Unused bits are 0.

import { assert } from '../base/assert.ts'
import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import { type Entry, HeaderList, NO_HEADERS } from './entry.ts'

const VERSION = 0xd1
const HAS_PAYLOAD = 1
const HAS_HEADERS = 2
const MUST_UNDERSTAND = 1

// Past this, bytes are written once into a buffer of their own; below it, through a shared buffer and Node's pool.
const POOLED_BYTES_MAX = 2048
const scratch = new ByteWriter(POOLED_BYTES_MAX)

/** The bytes of an entry, in a buffer of their own. */
export function encodeEntry(entry: Entry): Buffer {
  return encodeStamped(entry, undefined, undefined)
}

/** As `encodeEntry`, with one more header, The entry must not have a header of that name. */
export function encodeStamped(entry: Entry, stampName: string | undefined, stampBytes: Uint8Array | undefined): Buffer {
  const stampSize = stampName === undefined ? 0 : stampName.length + (stampBytes as Uint8Array).length + 12
  const bound = 2 + stampSize + bodySizeBound(entry)
  if (bound > POOLED_BYTES_MAX) {
    const own = new ByteWriter(bound)
    writeStamped(own, entry, stampName, stampBytes)
    return own.peek()
  }
  scratch.reset()
  writeStamped(scratch, entry, stampName, stampBytes)
  return scratch.toBytes()
}

/** Decodes what `encodeEntry` wrote. Payload and headers are views of `bytes`. CORRUPT if damaged, FORMAT if of a newer version. */
export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== VERSION) {
    throw new DelosError(
      'FORMAT',
      `entry format 0x${version.toString(16)}, this version reads 0x${VERSION.toString(16)}`,
    )
  }
  return readEntryBody(reader, bytes.length, 0)
}

/** Bytes that `writeEntryBody` needs at most; exact for an entry without headers. */
export function bodySizeBound(entry: Entry): number {
  let size = 1 + (entry.payload === undefined ? 0 : entry.payload.length)
  if (entry.headers.size === 0) return size
  size += 4
  for (let at = HeaderList.of(entry.headers); at.lesser !== undefined; at = at.lesser) {
    size += at.name.length + at.header.bytes.length + 12
  }
  return size
}

/** Writes the body of an entry: what an entry is inside a container that has a version of its own. */
export function writeEntryBody(writer: ByteWriter, entry: Entry): void {
  writeBody(writer, HeaderList.of(entry.headers), entry.payload)
}

/** Reads a body that ends at byte `end` of the reader's bytes. `index` is the entry's place in its container. */
export function readEntryBody(reader: ByteReader, end: number, index: number): Entry {
  const shape = reader.u8()
  if (shape === HAS_PAYLOAD) return { headers: NO_HEADERS, payload: reader.raw(end - reader.position), index }
  if (shape > (HAS_HEADERS | HAS_PAYLOAD)) throw new DelosError('CORRUPT', `entry shape ${shape} is unknown`)
  const headers = (shape & HAS_HEADERS) === 0 ? NO_HEADERS : readHeaders(reader)
  const rest = end - reader.position
  if ((shape & HAS_PAYLOAD) !== 0) return { headers, payload: reader.raw(rest), index }
  if (rest !== 0) throw new DelosError('CORRUPT', `${rest} bytes follow an entry without payload`)
  return { headers, payload: undefined, index }
}

function writeStamped(
  writer: ByteWriter,
  entry: Entry,
  stampName: string | undefined,
  stampBytes: Uint8Array | undefined,
): void {
  writer.u8(VERSION)
  writeBody(writer, HeaderList.of(entry.headers), entry.payload, stampName, stampBytes)
}

// The stamp is written in its place among the headers: a list with one more would be made for that alone.
function writeBody(
  writer: ByteWriter,
  headers: HeaderList,
  payload: Uint8Array | undefined,
  stampName?: string,
  stampBytes?: Uint8Array,
): void {
  const size = headers.size + (stampName === undefined ? 0 : 1)
  writer.u8((payload === undefined ? 0 : HAS_PAYLOAD) | (size === 0 ? 0 : HAS_HEADERS))
  if (size > 0) {
    writer.varint(size)
    const behind = stampName === undefined ? undefined : lessThan(headers, stampName)
    writeHeaders(writer, headers, behind, stampName, stampBytes)
  }
  if (payload !== undefined) writer.raw(payload)
}

/** Those of the list whose names are less. */
function lessThan(headers: HeaderList, name: string): HeaderList {
  let at = headers
  while (at.lesser !== undefined && at.name > name) at = at.lesser
  assert(at.name !== name, 'no header is stamped twice')
  return at
}

/** Ascending, and the stamp right behind the list `behind`. */
function writeHeaders(
  writer: ByteWriter,
  list: HeaderList,
  behind: HeaderList | undefined,
  stampName: string | undefined,
  stampBytes: Uint8Array | undefined,
): void {
  const { header, lesser, name } = list
  if (lesser !== undefined) {
    writeHeaders(writer, lesser, behind, stampName, stampBytes)
    writeHeader(writer, name, header.mustUnderstand, header.bytes)
  }
  if (list === behind) writeHeader(writer, stampName as string, false, stampBytes as Uint8Array)
}

function writeHeader(writer: ByteWriter, name: string, mustUnderstand: boolean, bytes: Uint8Array): void {
  writer.string(name)
  writer.u8(mustUnderstand ? MUST_UNDERSTAND : 0)
  writer.bytes(bytes)
}

function readHeaders(reader: ByteReader): HeaderList {
  const count = reader.varint()
  if (count === 0) throw new DelosError('CORRUPT', 'entry announces headers and has none')
  let headers = NO_HEADERS
  for (let i = 0; i < count; i++) {
    const name = reader.name()
    // One order, so that one entry has one encoding; and no name twice.
    if (name <= headers.name) throw new DelosError('CORRUPT', `header ${JSON.stringify(name)} is out of order`)
    const flags = reader.u8()
    if (flags > MUST_UNDERSTAND) throw new DelosError('CORRUPT', `header ${name} has unknown flags ${flags}`)
    headers = headers.withNext(name, { bytes: reader.bytes(), mustUnderstand: flags === MUST_UNDERSTAND })
  }
  return headers
}

// An engine that makes payloads smaller on their way into the log, and whole again before anybody above sees them.

import * as zlib from 'node:zlib'
import type { Completion, EngineContext, EngineFactory, Entry, Header } from 'delos/engine'
import { DelosError, EngineLayer, OWN_KINDS_FROM, withHeader } from 'delos/engine'
import type { LogPos } from 'delos/log'
import type { ReadWriteTx } from 'delos/store'

const NAME = 'compression'

// The header, a stored format: kind, number of the codec, length of the payload as it was (uint32, big endian).
const KIND_COMPRESSED = OWN_KINDS_FROM
const HEADER_BYTES = 6

// Level n of the engine writes with codec n. Every build reads all that it knows.
const CODECS = [
  { compress: zlib.deflateRawSync, expand: zlib.inflateRawSync },
  { compress: zlib.brotliCompressSync, expand: zlib.brotliDecompressSync },
]

/** What saves fewer bytes than `savedBytesMin` stays as it is. */
export function compressionEngine({ savedBytesMin = 64 } = {}): EngineFactory {
  return {
    name: NAME,
    levelMax: CODECS.length - 1,
    neighbours: {},
    create: (context) => new CompressionEngine(context, savedBytesMin),
  }
}

class CompressionEngine extends EngineLayer {
  private readonly savedBytesMin: number
  private readonly expandedOf = new WeakMap<Entry, Entry>()
  private bytesBefore = 0
  private bytesAfter = 0

  constructor(context: EngineContext, savedBytesMin: number) {
    super(NAME, context)
    this.savedBytesMin = savedBytesMin
  }

  override details(): Record<string, number> {
    return { bytesBefore: this.bytesBefore, bytesAfter: this.bytesAfter }
  }

  override propose(entry: Entry, completion: Completion<unknown>): void {
    this.below.propose(this.flags.enabled ? this.compressed(entry) : entry, completion)
  }

  private compressed(entry: Entry): Entry {
    const { payload } = entry
    if (payload === undefined || payload.length < this.savedBytesMin) return entry
    const codec = this.flags.level
    const small = CODECS[codec]?.compress(payload)
    if (small === undefined || payload.length - small.length < this.savedBytesMin) return entry
    this.bytesBefore += payload.length
    this.bytesAfter += small.length
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt8(KIND_COMPRESSED, 0)
    header.writeUInt8(codec, 1)
    header.writeUInt32BE(payload.length, 2)
    return withHeader({ ...entry, payload: small }, NAME, header, true)
  }

  protected override applyEntry(tx: ReadWriteTx, entry: Entry, pos: LogPos, own: Header | undefined): unknown {
    return this.above.apply(tx, own === undefined ? entry : this.expanded(entry, own), pos)
  }

  protected override afterCommit(entry: Entry, pos: LogPos, result: unknown, own: Header | undefined): void {
    this.above.postApply(own === undefined ? entry : this.expanded(entry, own), pos, result)
  }

  private expanded(entry: Entry, own: Header): Entry {
    const known = this.expandedOf.get(entry)
    if (known !== undefined) return known
    const expanded = { ...entry, payload: expandedPayload(Buffer.from(own.bytes), entry.payload) }
    this.expandedOf.set(entry, expanded)
    return expanded
  }
}

function expandedPayload(header: Buffer, payload: Uint8Array | undefined): Uint8Array {
  const codec = CODECS[header[1] ?? -1]
  if (header.length !== HEADER_BYTES || header[0] !== KIND_COMPRESSED || codec === undefined || payload === undefined) {
    throw new DelosError('FORMAT', `compression header ${header.toString('hex')} is not of this version`)
  }
  try {
    // One byte more than is allowed: longer content is damaged too, and must not fill the memory.
    const expanded = codec.expand(payload, { maxOutputLength: header.readUInt32BE(2) + 1 })
    if (expanded.length === header.readUInt32BE(2)) return expanded
  } catch (error) {
    throw new DelosError('CORRUPT', 'a compressed payload is damaged', { cause: error })
  }
  throw new DelosError('CORRUPT', 'a compressed payload has another length than its header says')
}

// What a backup's bytes are wrapped in before they become a blob: compressed in chunks, each with a checksum, and encrypted if there
// is a key. A stored format: golden files in testdata/backups, described in docs/formats.md. Not here: what is inside.
//
//   magic "DELOSBLB" · u8 format = 2 · u8 encryption: 0 none, 1 AES-256-GCM
//   if encrypted: key id 8 bytes · salt 16 bytes
//   chunks, the last one marked: u8 1 if it is the last, else 0 · u32 length as stored · u32 length inside · u32 CRC-32 of what
//   is inside · as stored: Brotli (format 1: raw DEFLATE); if encrypted, that encrypted, and a tag of 16 bytes
//
// Encrypted, the key of a blob is HKDF-SHA-256 of the key and the blob's salt, so no two blobs share one; the nonce is the chunk's
// number; authenticated with each chunk are the blob's name, the chunk's number and whether it is the last.

import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Random } from '../runtime/runtime.ts'
import { type Compression, ON_OTHER_THREADS } from './compression.ts'

/** Wraps and unwraps. Both give bytes of their own. */
export interface Envelope {
  /** Some of what will be inside of one blob: its bytes may be changed once this resolves. */
  pack(part: Uint8Array): Promise<PackedPart>
  /**
   * The blob of that name with these parts inside, one or more, in this order. In pieces that follow one another, which may be in the
   * memory of the parts.
   */
  seal(name: string, parts: readonly PackedPart[]): readonly Uint8Array[]
  /** Both, of what is there as a whole. */
  wrap(name: string, inside: Uint8Array): Promise<readonly Uint8Array[]>
  /** CORRUPT if damaged, FORMAT if newer, MISMATCH if it needs a key that is not this one, or should be encrypted and is not. */
  unwrap(name: string, wrapped: Uint8Array): Promise<Uint8Array>
}

/** Compressed; what its chunks take is told by `bytes`. */
export interface PackedPart {
  readonly chunks: readonly PackedChunk[]
  readonly bytes: number
}

interface PackedChunk {
  /** Room for the chunk's head, and what is compressed. */
  readonly framed: Buffer
  readonly insideBytes: number
  readonly crc: number
}

const MAGIC = Buffer.from('DELOSBLB', 'latin1')
const DEFLATED = 1
const FORMAT = 2
const CHUNK_BYTES = 1024 * 1024
const HEAD_BYTES = 13
const TAG_BYTES = 16
const KEY_ID_BYTES = 8
const SALT_BYTES = 16
export const KEY_BYTES = 32

export interface EnvelopeOptions {
  readonly random: Random
  /** 32 bytes; undefined: nothing is encrypted, and nothing encrypted can be read. */
  readonly key?: Uint8Array | undefined
  /**
   * With a key, also read what is not encrypted: while a backup moves from clear to encrypted. Otherwise it is refused, since
   * whoever can write to the store could have put it there. Default false.
   */
  readonly acceptClear?: boolean | undefined
  /** Instead of Node's own, on other threads: for the simulator. */
  readonly compression?: Compression
}

/** What messages call a key by; tells nothing about it. */
export function keyIdOf(key: Uint8Array): string {
  return keyId(key).toString('hex')
}

export class CompressedEnvelope implements Envelope {
  private readonly random: Random
  private readonly key: Uint8Array | undefined
  private readonly acceptClear: boolean
  private readonly compression: Compression

  constructor({ acceptClear = false, compression = ON_OTHER_THREADS, key, random }: EnvelopeOptions) {
    this.random = random
    this.key = key
    this.acceptClear = acceptClear
    this.compression = compression
  }

  async pack(part: Uint8Array): Promise<PackedPart> {
    const chunks: PackedChunk[] = []
    let bytes = 0
    for (let at = 0; at < part.length || chunks.length === 0; ) {
      const inside = part.subarray(at, at + CHUNK_BYTES)
      at += inside.length
      const packed = await this.compression.pack(inside)
      const framed = Buffer.allocUnsafeSlow(HEAD_BYTES + packed.length)
      framed.set(packed, HEAD_BYTES)
      chunks.push({ framed, insideBytes: inside.length, crc: crc32(inside) })
      bytes += framed.length
    }
    return { chunks, bytes }
  }

  seal(name: string, parts: readonly PackedPart[]): readonly Uint8Array[] {
    const chunks = parts.flatMap((part) => part.chunks)
    assert(chunks.length > 0, 'a blob has a part')
    const writer = new ByteWriter(64)
    writer.raw(MAGIC)
    writer.u8(FORMAT)
    writer.u8(this.key === undefined ? 0 : 1)
    let blobKey: Uint8Array | undefined
    if (this.key !== undefined) {
      const salt = this.random.bytes(SALT_BYTES)
      writer.raw(keyId(this.key))
      writer.raw(salt)
      blobKey = derived(this.key, salt)
    }
    const sealed = chunks.map(({ crc, framed, insideBytes }, number) => {
      const last = number === chunks.length - 1
      const packed = framed.subarray(HEAD_BYTES)
      const stored = blobKey === undefined ? packed : encrypted(blobKey, name, number, last, packed)
      const whole = blobKey === undefined ? framed : Buffer.concat([framed.subarray(0, HEAD_BYTES), stored])
      whole.writeUInt8(Number(last), 0)
      whole.writeUInt32BE(stored.length, 1)
      whole.writeUInt32BE(insideBytes, 5)
      whole.writeUInt32BE(crc, 9)
      return whole
    })
    return [writer.toBytes(), ...sealed]
  }

  async wrap(name: string, inside: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.seal(name, [await this.pack(inside)])
  }

  async unwrap(name: string, wrapped: Uint8Array): Promise<Uint8Array> {
    const reader = new ByteReader(wrapped)
    const { blobKey, format } = this.readHead(reader, name)
    const { inflate, unpack } = this.compression
    const decompress = format === DEFLATED ? inflate : unpack
    const parts: Uint8Array[] = []
    for (let number = 0; ; number++) {
      const last = reader.u8() === 1
      const storedBytes = reader.u32()
      const insideBytes = reader.u32()
      const sum = reader.u32()
      const stored = reader.raw(storedBytes)
      if (insideBytes > CHUNK_BYTES) throw damaged(name, number)
      const packed = blobKey === undefined ? stored : decrypted(blobKey, name, number, last, stored)
      const part = await decompress(packed, insideBytes).catch(() => undefined)
      if (part === undefined || part.length !== insideBytes || crc32(part) !== sum) throw damaged(name, number)
      parts.push(part)
      if (!last) continue
      if (reader.remaining !== 0) throw damaged(name, number + 1)
      return parts.length === 1 ? part : Buffer.concat(parts)
    }
  }

  private readHead(reader: ByteReader, name: string): BlobHead {
    if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new DelosError('FORMAT', `${name} is not a blob of a backup`)
    const format = reader.u8()
    const encryption = reader.u8()
    if (format < DEFLATED || format > FORMAT || encryption > 1) {
      throw new DelosError('FORMAT', `${name} has format ${format}, encryption ${encryption}: a newer version wrote it`)
    }
    return { format, blobKey: encryption === 0 ? this.clear(name) : this.blobKey(reader, name) }
  }

  /** Without a key; MISMATCH if only what is encrypted is taken. */
  private clear(name: string): undefined {
    if (this.key === undefined || this.acceptClear) return undefined
    const why = 'is not encrypted, and a key is given: anybody who can write there may have put it there'
    throw new DelosError(
      'MISMATCH',
      `${name} ${why}; accept-clear (of a server: backup-accept-clear) takes it all the same`,
    )
  }

  private blobKey(reader: ByteReader, name: string): Uint8Array {
    const id = reader.raw(KEY_ID_BYTES)
    const salt = reader.raw(SALT_BYTES)
    if (this.key === undefined) {
      throw new DelosError('MISMATCH', `${name} is encrypted with the key ${id.toString('hex')}, and no key is given`)
    }
    if (!id.equals(keyId(this.key))) {
      const given = keyIdOf(this.key)
      throw new DelosError('MISMATCH', `${name} is encrypted with the key ${id.toString('hex')}, given is ${given}`)
    }
    return derived(this.key, salt)
  }
}

interface BlobHead {
  readonly format: number
  /** Undefined if it is not encrypted. */
  readonly blobKey: Uint8Array | undefined
}

function keyId(key: Uint8Array): Buffer {
  return createHash('sha256').update('delos backup key id').update(key).digest().subarray(0, KEY_ID_BYTES)
}

function derived(key: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, 'delos backup blob', KEY_BYTES))
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(number, 8)
  return nonce
}

function authenticated(name: string, number: number, last: boolean): Buffer {
  return Buffer.from(`${name}\n${number}\n${last ? 'last' : 'more'}`, 'latin1')
}

function encrypted(key: Uint8Array, name: string, number: number, last: boolean, bytes: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number))
  cipher.setAAD(authenticated(name, number, last))
  return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
}

function decrypted(key: Uint8Array, name: string, number: number, last: boolean, stored: Uint8Array): Buffer {
  if (stored.length < TAG_BYTES) throw damaged(name, number)
  const split = stored.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number), { authTagLength: TAG_BYTES })
  decipher.setAAD(authenticated(name, number, last))
  decipher.setAuthTag(stored.subarray(split))
  try {
    return Buffer.concat([decipher.update(stored.subarray(0, split)), decipher.final()])
  } catch {
    throw damaged(name, number) // Whoever changed it, by accident or not.
  }
}

function damaged(name: string, chunk: number): DelosError {
  return new DelosError('CORRUPT', `${name}: chunk ${chunk} is damaged`)
}

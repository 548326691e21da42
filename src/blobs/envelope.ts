// What a backup's bytes are wrapped in before they become a blob: compressed in chunks, each with a checksum, and encrypted if there
// is a key. A stored format: golden files in testdata/backups, described in docs/formats.md. Not here: what is inside.
//
//   magic "DELOSBLB" · u8 format = 1 · u8 encryption: 0 none, 1 AES-256-GCM
//   if encrypted: key id 8 bytes · salt 16 bytes
//   chunks, the last one marked: u8 1 if it is the last, else 0 · u32 length as stored · u32 length inside · u32 CRC-32 of what
//   is inside · as stored: raw DEFLATE; if encrypted, that encrypted, and a tag of 16 bytes
//
// Encrypted, the key of a blob is HKDF-SHA-256 of the key and the blob's salt, so no two blobs share one; the nonce is the chunk's
// number; authenticated with each chunk are the blob's name, the chunk's number and whether it is the last.

import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { crc32, deflateRaw, inflateRaw } from 'node:zlib'
import { ByteReader } from '../base/byte-reader.ts'
import { ByteWriter } from '../base/byte-writer.ts'
import { DelosError } from '../base/delos-error.ts'
import type { Random } from '../runtime/runtime.ts'

/** Wraps and unwraps. Both give bytes of their own. */
export interface Envelope {
  /** For the blob of that name. */
  wrap(name: string, inside: Uint8Array): Promise<Uint8Array>
  /** CORRUPT if damaged, FORMAT if newer, MISMATCH if it needs a key that is not this one, or should be encrypted and is not. */
  unwrap(name: string, wrapped: Uint8Array): Promise<Uint8Array>
}

const MAGIC = Buffer.from('DELOSBLB', 'latin1')
const FORMAT = 1
const CHUNK_BYTES = 1024 * 1024
const TAG_BYTES = 16
const KEY_ID_BYTES = 8
const SALT_BYTES = 16
export const KEY_BYTES = 32
// Log entries are compressed while clients wait for the same processors: the fastest level takes most of what there is to take.
const LEVEL = 1

export interface EnvelopeOptions {
  readonly random: Random
  /** 32 bytes; undefined: nothing is encrypted, and nothing encrypted can be read. */
  readonly key?: Uint8Array | undefined
  /**
   * With a key, also read what is not encrypted: while a backup moves from clear to encrypted. Otherwise it is refused, since
   * whoever can write to the store could have put it there. Default false.
   */
  readonly acceptClear?: boolean | undefined
  /** Instead of Node's own, which compresses on other threads: for the simulator. */
  readonly compression?: Compression
}

export interface Compression {
  deflate(bytes: Uint8Array): Promise<Uint8Array>
  /** Rejects if there is more than `bytesMax`. */
  inflate(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>
}

const ON_OTHER_THREADS: Compression = {
  deflate: (bytes) =>
    new Promise((resolve, reject) => {
      deflateRaw(bytes, { level: LEVEL }, (error, packed) => (error === null ? resolve(packed) : reject(error)))
    }),
  inflate: (bytes, bytesMax) =>
    new Promise((resolve, reject) => {
      // The largest chunk has at least one byte, or Node would take the limit for none.
      const options = { maxOutputLength: Math.max(1, bytesMax) }
      inflateRaw(bytes, options, (error, inside) => (error === null ? resolve(inside) : reject(error)))
    }),
}

/** What messages call a key by; tells nothing about it. */
export function keyIdOf(key: Uint8Array): string {
  return keyId(key).toString('hex')
}

export class DeflatedEnvelope implements Envelope {
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

  async wrap(name: string, inside: Uint8Array): Promise<Uint8Array> {
    const writer = new ByteWriter(64 + (inside.length >> 1))
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
    for (let at = 0, number = 0; ; number++) {
      const chunk = inside.subarray(at, at + CHUNK_BYTES)
      at += chunk.length
      const last = at >= inside.length
      const packed = await this.compression.deflate(chunk)
      const stored = blobKey === undefined ? packed : encrypted(blobKey, name, number, last, packed)
      writer.u8(Number(last))
      writer.u32(stored.length)
      writer.u32(chunk.length)
      writer.u32(crc32(chunk))
      writer.raw(stored)
      if (last) return writer.take(16)
    }
  }

  async unwrap(name: string, wrapped: Uint8Array): Promise<Uint8Array> {
    const reader = new ByteReader(wrapped)
    const blobKey = this.readHead(reader, name)
    const parts: Uint8Array[] = []
    for (let number = 0; ; number++) {
      const last = reader.u8() === 1
      const storedBytes = reader.u32()
      const insideBytes = reader.u32()
      const sum = reader.u32()
      const stored = reader.raw(storedBytes)
      if (insideBytes > CHUNK_BYTES) throw damaged(name, number)
      const packed = blobKey === undefined ? stored : decrypted(blobKey, name, number, last, stored)
      const part = await this.compression.inflate(packed, insideBytes).catch(() => undefined)
      if (part === undefined || part.length !== insideBytes || crc32(part) !== sum) throw damaged(name, number)
      parts.push(part)
      if (!last) continue
      if (reader.remaining !== 0) throw damaged(name, number + 1)
      return parts.length === 1 ? part : Buffer.concat(parts)
    }
  }

  private readHead(reader: ByteReader, name: string): Uint8Array | undefined {
    if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new DelosError('FORMAT', `${name} is not a blob of a backup`)
    const format = reader.u8()
    const encryption = reader.u8()
    if (format !== FORMAT || encryption > 1) {
      throw new DelosError('FORMAT', `${name} has format ${format}, encryption ${encryption}: a newer version wrote it`)
    }
    if (encryption === 0) {
      if (this.key === undefined || this.acceptClear) return undefined
      const why = 'is not encrypted, and a key is given: anybody who can write there may have put it there'
      throw new DelosError(
        'MISMATCH',
        `${name} ${why}; accept-clear (of a server: backup-accept-clear) takes it all the same`,
      )
    }
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

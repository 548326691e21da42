// How what goes into a blob is compressed. Not here: what is put around it (envelope.ts).

import { brotliCompress, brotliDecompress, constants, inflateRaw } from 'node:zlib'

export interface Compression {
  /** To Brotli. */
  pack(bytes: Uint8Array): Promise<Uint8Array>
  /** Of Brotli. Rejects if there is more than `bytesMax`. */
  unpack(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>
  /** As `unpack`, of raw DEFLATE, which earlier versions wrote. */
  inflate(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>
}

/**
 * Log entries are compressed while clients wait for the same processors. Of ordinary text this takes a third of the time that the
 * fastest DEFLATE takes, and gives less: 350 MB/s beside 100, 0.31 of its size beside 0.34.
 */
export const PACKING = {
  // Where each call comes back to the event loop: most chunks do once.
  chunkSize: 128 * 1024,
  params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 18 },
} as const

/** Node's own, on other threads. */
export const ON_OTHER_THREADS: Compression = {
  pack: (bytes) =>
    new Promise((resolve, reject) => {
      brotliCompress(bytes, PACKING, (error, packed) => (error === null ? resolve(packed) : reject(error)))
    }),
  unpack: (bytes, bytesMax) =>
    new Promise((resolve, reject) => {
      brotliDecompress(bytes, limitOf(bytesMax), (error, inside) => (error === null ? resolve(inside) : reject(error)))
    }),
  inflate: (bytes, bytesMax) =>
    new Promise((resolve, reject) => {
      inflateRaw(bytes, limitOf(bytesMax), (error, inside) => (error === null ? resolve(inside) : reject(error)))
    }),
}

/** For unpacking. Node would take a limit of 0 for none. */
export function limitOf(bytesMax: number): { readonly maxOutputLength: number; readonly chunkSize: number } {
  const maxOutputLength = Math.max(1, bytesMax)
  return { maxOutputLength, chunkSize: Math.max(64, Math.min(128 * 1024, maxOutputLength)) }
}

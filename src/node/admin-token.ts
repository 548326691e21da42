// The secret that whoever changes something over HTTP must show: made when a data directory is first used, read by the command
// line from the same file. Not here: which routes ask for it (engine-routes.ts).

import { createHash, timingSafeEqual } from 'node:crypto'
import { DelosError } from '../base/delos-error.ts'
import { readSmallFile, writeFileDurably } from '../runtime/durable-file.ts'
import type { Runtime } from '../runtime/runtime.ts'

/** In the data directory; readable by its owner alone (mode 0600). */
export const ADMIN_TOKEN_FILE = 'admin.token'

const TOKEN_BYTES = 32
/** 32 random bytes as hex; an operator's own may be longer. */
const TOKEN = /^[\x21-\x7e]{32,256}\n?$/
const BEARER = /^Bearer +([\x21-\x7e]+) *$/i

/** What a request may do, by its Authorization header. */
export type Admission = 'admitted' | 'no token' | 'wrong token'

/** The token of one server. Keeps a hash only, so that nothing can log it by accident. */
export class AdminToken {
  private readonly digest: Buffer

  constructor(token: string) {
    this.digest = digestOf(token)
  }

  /** Takes as long for a token that is nearly right as for any other. */
  admits(authorization: string | undefined): Admission {
    const shown = BEARER.exec(authorization ?? '')?.[1]
    if (shown === undefined) return 'no token'
    return timingSafeEqual(digestOf(shown), this.digest) ? 'admitted' : 'wrong token'
  }
}

/** Reads the token of a data directory, or makes it, durable. Rejects with CORRUPT if the file holds none, IO_ERROR, DISK_FULL. */
export async function openAdminToken(dataDir: string, { disk, random }: Runtime): Promise<AdminToken> {
  const path = `${dataDir}/${ADMIN_TOKEN_FILE}`
  const stored = await readSmallFile(disk, path)
  if (stored !== undefined) return new AdminToken(tokenIn(stored, path))
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex')
  await writeFileDurably(disk, path, Buffer.from(`${token}\n`))
  return new AdminToken(token)
}

/** The token that a file holds. CORRUPT, naming the file and never its content, if it is none. */
export function tokenIn(bytes: Uint8Array, path: string): string {
  const text = Buffer.from(bytes).toString('latin1')
  if (!TOKEN.test(text)) {
    throw new DelosError('CORRUPT', `${path} holds no token: remove it, and the next start makes a new one`)
  }
  return text.trimEnd()
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

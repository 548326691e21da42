// The replicated content of a database as a value to compare: a digest per range, and a hash over every row.

import { createHash } from 'node:crypto'
import { rowDigest } from '../../src/node/database-copy-source.ts'
import type { ReadTx } from '../../src/store/local-store.ts'

export interface Content {
  readonly digests: Readonly<Record<string, string>>
  readonly rows: number
  readonly hash: string
}

/** All ranges but Base's, which remembers who proposed what and may differ from server to server. */
export function contentOf(tx: ReadTx): Content {
  const digest = rowDigest('0'.repeat(32))
  const hash = createHash('sha256')
  let rows = 0
  for (const [key, value] of tx.scan({ from: '' })) {
    if (key.startsWith('base\x00')) continue
    digest.add(key, value)
    hash.update(`${key.length} ${value.length} `).update(key, 'latin1').update(value)
    rows++
  }
  return { digests: Object.fromEntries(digest.read()), rows, hash: hash.digest('hex') }
}

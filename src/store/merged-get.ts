// Point reads of many keys through a table over something slower: one call below for all that the table does not know.

import type { Key } from '../base/key.ts'
import type { Written } from './write-table.ts'

/** Values in the order of `keys`. `lookup` answers null for deleted, undefined for "ask below". */
export function mergedGetMany(
  keys: readonly Key[],
  lookup: (key: Key) => Written | undefined,
  below: (keys: readonly Key[]) => (Uint8Array | undefined)[],
): (Uint8Array | undefined)[] {
  const values: (Uint8Array | undefined)[] = []
  let missing: Key[] | undefined
  for (const key of keys) {
    const value = lookup(key)
    values.push(value ?? undefined)
    if (value !== undefined) continue
    missing ??= []
    missing.push(key)
  }
  if (missing === undefined) return values
  const found = below(missing)
  if (missing.length === keys.length) return found
  let next = 0
  for (let i = 0; i < values.length; i++) {
    if (values[i] === undefined && keys[i] === missing[next]) values[i] = found[next++]
  }
  return values
}

// Key prefixes: each engine and each database owns the range of its name, so no two can collide.

import { assert } from '../base/assert.ts'
import { type Key, keyAfterPrefix } from '../base/key.ts'
import type { KeyRange } from './local-store.ts'

const NAME = /^[a-z][a-z0-9-]{0,30}$/

/** The prefix of the keys of `name` (an engine or a database): the name and a zero byte. */
export function subStorePrefix(name: string): Key {
  assert(NAME.test(name), `not a sub-store name: ${name}`)
  return `${name}\x00`
}

/** All keys that start with `prefix`. */
export function rangeOfPrefix(prefix: Key): KeyRange {
  return { from: prefix, to: keyAfterPrefix(prefix) }
}

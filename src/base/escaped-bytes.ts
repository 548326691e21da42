// Byte strings as text that people read and type: printable ASCII stands for itself, a backslash is \\, a zero byte \0, any other
// byte \x and two hexadecimal digits. One text per byte string when written; when read, any other character stands for its UTF-8
// bytes, so that most texts are their own.

import { DelosError } from './delos-error.ts'
import { type Key, keyOfBytes, keyText } from './key.ts'

const PLAIN = /^[\x20-\x5b\x5d-\x7e]*$/
const ESCAPE = /\\(?:\\|0|x[0-9a-fA-F]{2})/y

/** Never throws; about as long as `key`, at most four times. */
export function escapeKey(key: Key): string {
  if (PLAIN.test(key)) return key
  let text = ''
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i)
    if (unit === 0) text += '\\0'
    else if (unit === 0x5c) text += '\\\\'
    else if (unit >= 0x20 && unit < 0x7f) text += key.charAt(i)
    else text += `\\x${unit.toString(16).padStart(2, '0')}`
  }
  return text
}

export function escapeBytes(bytes: Uint8Array): string {
  return escapeKey(keyOfBytes(bytes))
}

/** What `escapeKey` wrote, or somebody typed. INVALID_ARGUMENT for an escape that is none. */
export function unescapeKey(text: string): Key {
  let key = ''
  let at = 0
  while (at < text.length) {
    const next = text.indexOf('\\', at)
    if (next === -1) return key + keyText(text.slice(at))
    key += keyText(text.slice(at, next))
    ESCAPE.lastIndex = next
    const found = ESCAPE.exec(text)?.[0]
    if (found === undefined) {
      throw new DelosError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(text)}: after a backslash comes \\, 0 or x and two digits`,
      )
    }
    key += byteOf(found)
    at = next + found.length
  }
  return key
}

function byteOf(found: string): Key {
  if (found === '\\\\') return '\\'
  return found === '\\0' ? '\0' : String.fromCharCode(Number.parseInt(found.slice(2), 16))
}

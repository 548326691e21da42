// X.500 names as texts (RFC 2253): which are well-formed. What a certificate calls its subject is decided where certificates are read.

/** Attribute names that are understood, in any case; every other attribute is written as its numbers (`2.5.4.97`). */
const KEYWORDS: ReadonlySet<string> = new Set([
  ...['CN', 'C', 'L', 'S', 'ST', 'O', 'OU', 'T', 'IP', 'STREET', 'DC', 'DNQUALIFIER', 'DNQ', 'SURNAME', 'GIVENNAME'],
  ...['INITIALS', 'GENERATION', 'EMAIL', 'EMAILADDRESS', 'UID', 'SERIALNUMBER'],
])

const NUMBERS = /^(OID\.)?\d+(\.\d+)+$/
const TYPE = /^\s*([A-Za-z][A-Za-z0-9.]*|\d+(?:\.\d+)+)\s*=\s*/
/** `#` and pairs of hexadecimal digits; a quoted text; a text in which what has a meaning is escaped. Then the separator. */
const VALUE = /^(?:#(?:[0-9A-Fa-f]{2})+|"(?:[^"\\]|\\.)*"|(?:[^,;+"\\<>=]|\\.|=)*)\s*(?:[,;+]|$)/su

/** True for `CN=alice,O=Example`; the empty name is one too. */
export function isDistinguishedName(text: string): boolean {
  let rest = text
  if (rest.trim() === '') return true
  for (;;) {
    const type = TYPE.exec(rest)
    if (type === null || !isAttribute(type[1] as string)) return false
    rest = rest.slice(type[0].length)
    const value = VALUE.exec(rest)
    if (value === null) return false
    rest = rest.slice(value[0].length)
    if (rest === '') return !/[,;+]$/.test(value[0])
  }
}

function isAttribute(name: string): boolean {
  const upper = name.toUpperCase()
  return KEYWORDS.has(upper) || NUMBERS.test(upper)
}

// The users of SASL DIGEST-MD5 from the text of a file: ZooKeeper's jaas.conf, or lines of our own. Reads no file.

import { DelosError } from '../base/delos-error.ts'
import type { SaslUsers } from './sasl-digest-md5.ts'

/** The section that ZooKeeper's servers read. */
const SECTION = /(?:^|\s|;)Server\s*\{([^}]*)\}/
const MODULE = /^\s*([\w.$]+)\s+(?:required|requisite|sufficient|optional)\b/i
const USER = /(?:^|\s)user_([^\s=]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/g
const LINE = /^([^:\s][^:]*):(.*)$/

/**
 * Either a JAAS configuration with a section `Server` that names its users as `user_alice="secret"`, or lines `alice:secret`
 * and `user_alice="secret"`; `#` and `//` begin comments. Throws INVALID_ARGUMENT, naming `file`, for Kerberos, for a line that
 * is none of this, and if there is no user at all.
 */
export function parseSaslUsers(text: string, file: string): SaslUsers {
  const users = text.includes('{') ? usersOfSection(text, file) : usersOfLines(text, file)
  if (users.size === 0) throw new DelosError('INVALID_ARGUMENT', `${file}: names no user`)
  return users
}

function usersOfSection(text: string, file: string): SaslUsers {
  const section = SECTION.exec(text.replace(/^\s*(\/\/|#).*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, ''))?.[1]
  if (section === undefined) throw new DelosError('INVALID_ARGUMENT', `${file}: has no section Server { … }`)
  const module = MODULE.exec(section)?.[1] ?? ''
  if (!module.endsWith('.DigestLoginModule')) {
    const what = module.includes('Krb5') ? 'Kerberos is not supported' : `unknown login module ${module}`
    throw new DelosError('INVALID_ARGUMENT', `${file}: ${what}: only DigestLoginModule is`)
  }
  return usersIn(section)
}

function usersIn(text: string): Map<string, string> {
  const users = new Map<string, string>()
  for (const [, name, quoted, plain] of text.matchAll(USER)) {
    users.set(name as string, quoted?.replace(/\\(.)/gsu, '$1') ?? (plain as string))
  }
  return users
}

function usersOfLines(text: string, file: string): SaslUsers {
  const users = new Map<string, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|\/\/|$)/.test(line)) continue
    const named = usersIn(line)
    for (const [name, password] of named) users.set(name, password)
    if (named.size > 0) continue
    const parts = LINE.exec(line)
    if (parts === null) throw new DelosError('INVALID_ARGUMENT', `${file}: line ${index + 1} is not name:password`)
    users.set((parts[1] as string).trim(), parts[2] as string)
  }
  return users
}

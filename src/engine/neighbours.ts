// Which engines an engine needs around it, and the check that a stack obeys. A stack that breaks a rule is refused before
// anything is built.

import { DelosError } from '../base/delos-error.ts'

/** What one engine demands of the others. Names are engine names; `base` is the bottom. */
export interface Neighbours {
  /** Each must be somewhere below. */
  readonly needsBelow?: readonly string[]
  /** Each, if present, must be below. */
  readonly notBelow?: readonly string[]
  /** No engine may stand above. */
  readonly topmost?: boolean
}

/** INVALID_ARGUMENT with the rule that is broken, for `names` bottom to top. */
export function requireNeighbours(names: readonly string[], rules: ReadonlyMap<string, Neighbours>): void {
  for (const [at, name] of names.entries()) {
    if (names.indexOf(name) !== at) refuse(names, `${name} is in it twice`)
    const rule = rules.get(name) ?? {}
    for (const needed of rule.needsBelow ?? []) {
      if (!names.slice(0, at).includes(needed)) refuse(names, `${name} needs ${needed} below it`)
    }
    for (const other of rule.notBelow ?? []) {
      if (names.slice(at + 1).includes(other)) refuse(names, `${name} must not be below ${other}`)
    }
    if (rule.topmost === true && at !== names.length - 1) refuse(names, `${name} must be topmost`)
  }
}

function refuse(names: readonly string[], rule: string): never {
  throw new DelosError('INVALID_ARGUMENT', `stack ${names.join(', ')} (bottom to top): ${rule}`)
}

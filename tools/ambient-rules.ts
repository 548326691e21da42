// The rule that keeps the outside world behind the runtime's interfaces: which globals and `node:` modules a layer may use.

import { layerOf } from './layer-rules.ts'
import { AMBIENT_EXCEPTIONS, PURE_NODE_MODULES } from './layers.ts'
import type { Token } from './source-lexer.ts'
import { isConformanceSuite, isTest, type ResolvedImport, type SourceFile } from './source-tree.ts'

/** Globals that read the outside world, and what must follow for it to be a use of them. */
const OUTSIDE_GLOBALS: Readonly<Record<string, RegExp>> = {
  Atomics: /^\.$/,
  console: /^\.$/,
  crypto: /^\.$/,
  fetch: /^\($/,
  performance: /^\.$/,
  process: /^\.$/,
  clearImmediate: /^\($/,
  clearInterval: /^\($/,
  clearTimeout: /^\($/,
  setImmediate: /^\($/,
  setInterval: /^\($/,
  setTimeout: /^\($/,
}

/** Methods whose result depends on the machine's language or zone. */
const LOCALE_METHOD = /^(localeCompare|toLocale\w+|getTimezoneOffset)$/

/** Uses of clock, timers, chance, process, locale, files or sockets that did not come in through an interface. */
export function ambientUses(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const ambient = layerOf(file.path)?.ambient ?? 'free'
    if (ambient === 'free' || isTest(file.path) || isConformanceSuite(file.path)) return []
    if (AMBIENT_EXCEPTIONS.some((exception) => exception.module.test(file.path))) return []
    const modules = file.imports.filter((one) => isOutsideModule(one, ambient)).map(moduleUse)
    return [...modules, ...globalUses(file.tokens)].map((use) => `${file.path}:${use}`)
  })
}

function isOutsideModule(one: ResolvedImport, ambient: 'deterministic' | 'pure'): boolean {
  if (!one.specifier.startsWith('node:')) return false
  if (ambient === 'deterministic' || !(one.specifier in PURE_NODE_MODULES)) return true
  const allowed = PURE_NODE_MODULES[one.specifier]
  return allowed !== undefined && !one.names.every((name) => allowed.includes(name))
}

function moduleUse(one: ResolvedImport): string {
  return `${one.line}: ${one.specifier} (${one.names.join(', ')})`
}

function globalUses(tokens: readonly Token[]): string[] {
  const found: string[] = []
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    if (token.kind === 'name' && isOutsideName(tokens, i)) {
      found.push(`${token.line}: ambient ${token.text}${tokens[i + 1]?.text ?? ''}${memberAfter(tokens, i)}`)
    }
  }
  return found
}

function isOutsideName(tokens: readonly Token[], i: number): boolean {
  const name = tokens[i]!.text
  const before = tokens[i - 1]?.text
  const after = tokens[i + 1]?.text ?? ''
  if (before === '.') return LOCALE_METHOD.test(name)
  if (name === 'Math') return after === '.' && tokens[i + 2]?.text === 'random'
  // A date made of a number is a value; one made of nothing is the clock.
  if (name === 'Date')
    return after !== '(' || before !== 'new'
      ? before === 'new' || after === '.' || after === '('
      : tokens[i + 2]?.text === ')'
  if (name === 'Intl') return after === '.'
  if (!Object.hasOwn(OUTSIDE_GLOBALS, name) || !(OUTSIDE_GLOBALS[name] as RegExp).test(after)) return false
  return after !== '(' || !declaresMethod(tokens, i)
}

/** True if `name(…)` is followed by a body or a return type: a method of that name, not a call. */
function declaresMethod(tokens: readonly Token[], i: number): boolean {
  let depth = 0
  for (let at = i + 1; at < tokens.length; at++) {
    const { kind, text } = tokens[at]!
    if (kind !== 'punctuation') continue
    if (text === '(') depth++
    if (text === ')') depth--
    if (depth === 0) return ['{', ':'].includes(tokens[at + 1]?.text ?? '')
  }
  return false
}

function memberAfter(tokens: readonly Token[], i: number): string {
  return tokens[i + 1]?.text === '.' ? (tokens[i + 2]?.text ?? '') : ''
}

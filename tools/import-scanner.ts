// Finds what a module imports, re-exports or starts as a worker, and whether it has a default export. Works on tokens: no
// resolution, no types.

import type { Token } from './source-lexer.ts'

export interface ModuleImport {
  /** As written: `./x.ts`, `node:fs`, `vitest`. */
  readonly specifier: string
  /** Names taken, as exported there; `default` and `*` for those forms. Empty for a side effect and for `import()`. */
  readonly names: readonly string[]
  /** Erased by the compiler. */
  readonly typeOnly: boolean
  /** `url`: `new URL('./x.ts', import.meta.url)`, how a worker is named. */
  readonly kind: 'import' | 'export' | 'dynamic' | 'url'
  readonly line: number
}

/** Every import of a module, in order. */
export function importsOf(tokens: readonly Token[]): ModuleImport[] {
  const found: ModuleImport[] = []
  for (let i = 0; i < tokens.length; i++) {
    const one = importAt(tokens, i)
    if (one !== undefined) found.push(one)
  }
  return found
}

/** The line of a default export, if there is one. */
export function defaultExportLine(tokens: readonly Token[]): number | undefined {
  for (let i = 0; i < tokens.length; i++) {
    if (!isName(tokens[i], 'export')) continue
    if (isName(tokens[i + 1], 'default')) return tokens[i]?.line
    const end = isText(tokens[i + 1], '{') ? indexOf(tokens, '}', i) : i
    for (let at = i; at < end; at++) {
      if (isName(tokens[at], 'as') && isName(tokens[at + 1], 'default')) return tokens[at]?.line
    }
  }
  return undefined
}

function importAt(tokens: readonly Token[], i: number): ModuleImport | undefined {
  const token = tokens[i]
  if (token?.kind !== 'name' || isText(tokens[i - 1], '.')) return undefined
  if (token.text === 'import') return staticImport(tokens, i) ?? dynamicImport(tokens, i)
  if (token.text === 'export') return reExport(tokens, i)
  if (token.text === 'URL') return urlOfModule(tokens, i)
  return undefined
}

function staticImport(tokens: readonly Token[], i: number): ModuleImport | undefined {
  const line = tokens[i]!.line
  const next = tokens[i + 1]
  if (next?.kind === 'string') return { specifier: next.text, names: [], typeOnly: false, kind: 'import', line }
  if (isText(next, '(') || isText(next, '.')) return undefined
  const typeOnly = isName(next, 'type') && !isText(tokens[i + 2], ',') && !isName(tokens[i + 2], 'from')
  return clause(tokens, typeOnly ? i + 2 : i + 1, { typeOnly, kind: 'import', line })
}

function reExport(tokens: readonly Token[], i: number): ModuleImport | undefined {
  const typeOnly = isName(tokens[i + 1], 'type')
  const start = typeOnly ? i + 2 : i + 1
  if (!isText(tokens[start], '{') && !isText(tokens[start], '*')) return undefined
  return clause(tokens, start, { typeOnly, kind: 'export', line: tokens[i]!.line })
}

/** From the first token after `import` or `export` (and `type`) to the specifier behind `from`. */
function clause(
  tokens: readonly Token[],
  start: number,
  rest: Pick<ModuleImport, 'typeOnly' | 'kind' | 'line'>,
): ModuleImport | undefined {
  const names: string[] = []
  let at = start
  let typed = 0
  for (; at < tokens.length && !isName(tokens[at], 'from'); at++) {
    const token = tokens[at]!
    if (isText(token, '{')) {
      const end = indexOf(tokens, '}', at)
      const specifiers = specifiersBetween(tokens, at + 1, end)
      names.push(...specifiers.map((one) => one.name))
      typed += specifiers.filter((one) => one.typeOnly).length
      at = end
      if (!isName(tokens[at + 1], 'from')) return undefined
    } else if (isText(token, '*')) names.push('*')
    else if (token.kind === 'name' && !isName(tokens[at - 1], 'as') && token.text !== 'as') names.push('default')
    else if (token.kind === 'punctuation' && token.text !== ',') return undefined
  }
  const specifier = tokens[at + 1]
  if (specifier?.kind !== 'string') return undefined
  const typeOnly = rest.typeOnly || (names.length > 0 && typed === names.length)
  return { specifier: specifier.text, names, typeOnly, kind: rest.kind, line: rest.line }
}

function specifiersBetween(tokens: readonly Token[], from: number, to: number): { name: string; typeOnly: boolean }[] {
  const found: { name: string; typeOnly: boolean }[] = []
  for (let at = from; at < to; at++) {
    const typeOnly = isName(tokens[at], 'type') && tokens[at + 1]?.kind === 'name' && !isName(tokens[at + 1], 'as')
    if (typeOnly) at++
    found.push({ name: tokens[at]!.text, typeOnly })
    while (at < to && !isText(tokens[at], ',')) at++
  }
  return found
}

function dynamicImport(tokens: readonly Token[], i: number): ModuleImport | undefined {
  const specifier = tokens[i + 2]
  if (!isText(tokens[i + 1], '(') || specifier?.kind !== 'string') return undefined
  return { specifier: specifier.text, names: [], typeOnly: false, kind: 'dynamic', line: tokens[i]!.line }
}

function urlOfModule(tokens: readonly Token[], i: number): ModuleImport | undefined {
  const specifier = tokens[i + 2]
  if (!isText(tokens[i + 1], '(') || specifier?.kind !== 'string' || !isText(tokens[i + 3], ',')) return undefined
  if (!isName(tokens[i + 4], 'import') || !/^\.{1,2}\/.*\.[jt]s$/.test(specifier.text)) return undefined
  return { specifier: specifier.text, names: [], typeOnly: false, kind: 'url', line: tokens[i]!.line }
}

function isName(token: Token | undefined, text: string): boolean {
  return token?.kind === 'name' && token.text === text
}

function isText(token: Token | undefined, text: string): boolean {
  return token?.kind === 'punctuation' && token.text === text
}

function indexOf(tokens: readonly Token[], text: string, from: number): number {
  const found = tokens.findIndex((token, index) => index >= from && isText(token, text))
  return found === -1 ? tokens.length : found
}

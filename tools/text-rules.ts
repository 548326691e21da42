// The rules on files as such: names, sizes, default exports, words that must not stand in the repository.

import { basename } from 'node:path'
import { defaultExportLine } from './import-scanner.ts'
import type { SourceFile } from './source-tree.ts'

/** A module longer than this does two things. Suites may be longer: they are lists. */
const MODULE_LINES_MAX = 400
const TEST_LINES_MAX = 800

/** The one module that a tool wants to have a default export. */
const DEFAULT_EXPORT_ALLOWED = 'vitest.config.ts'

const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|slow\.test|conformance|program|test-support|config))?\.ts$/

/** Names that say "the start of this folder" and so may appear in several. */
const REPEATED_NAMES = new Set(['index.ts', 'main.ts'])

const FORBIDDEN_TEXT: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  { pattern: /(?<![\w.$}'"`])\/(?:home|Users|work|mnt|root)\/[\w.-]+/, reason: 'a path of one machine' },
  { pattern: /\b[A-Z]:\\Users\\/, reason: 'a path of one machine' },
  {
    pattern: /\b(?:registry|artifactory|nexus|verdaccio)\.[\w-]+\.\w+|\/npm\/registry\b/i,
    reason: 'the address of a registry',
  },
  {
    pattern: /\b(?:FIXME|HACK|TODO|XXX)\b/,
    reason: 'a mark of unfinished work: finish it or name it in the status table',
  },
  { pattern: /\b(?:issue|ticket|milestone) #?\d+\b/i, reason: 'a reference to a task: say what is meant' },
  { pattern: /\bDESIGN §|\bDESIGN\.md §|\.\.\/shared\//, reason: 'a reference to a text outside the repository' },
  { pattern: /\b(?:as requested|as discussed|per the (?:brief|instructions))\b/i, reason: 'a remark to one reader' },
]

/** Modules with a default export. */
export function defaultExports(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const line = file.path === DEFAULT_EXPORT_ALLOWED ? undefined : defaultExportLine(file.tokens)
    return line === undefined ? [] : [`${file.path}:${line}: default export`]
  })
}

/** Modules whose name is not in kebab-case, or that share it with another one under the same root. */
export function badNames(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  const seen = new Map<string, string>()
  for (const { path } of files) {
    const name = basename(path)
    if (!KEBAB_CASE.test(name)) found.push(`${path}: not in kebab-case`)
    const spot = `${path.split('/')[0]}: ${name}`
    const other = seen.get(spot)
    if (other !== undefined && !REPEATED_NAMES.has(name)) found.push(`${path}: has the name of ${other}`)
    seen.set(spot, path)
  }
  return found
}

/** Modules with more lines than one thing takes. */
export function tooLong(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const lines = file.text.split('\n').length - 1
    const max = /\.(test|conformance)\.ts$/.test(file.path) ? TEST_LINES_MAX : MODULE_LINES_MAX
    return lines > max ? [`${file.path}: ${lines} lines, at most ${max}`] : []
  })
}

/** Lines of any text file with something that only one machine or one reader understands. */
export function forbiddenText(path: string, text: string): string[] {
  const faults = FORBIDDEN_TEXT.filter(({ pattern }) => pattern.test(text))
  if (faults.length === 0) return []
  return text
    .split('\n')
    .flatMap((line, index) =>
      faults
        .filter(({ pattern }) => pattern.test(line))
        .map(({ pattern, reason }) => `${path}:${index + 1}: ${reason}: ${pattern.exec(line)?.[0]}`),
    )
}

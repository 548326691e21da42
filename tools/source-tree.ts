// The repository as the checks see it: every source file with its tokens and imports, resolved to repository paths. Reads
// files; judges nothing.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { importsOf, type ModuleImport } from './import-scanner.ts'
import { type Token, tokensOf } from './source-lexer.ts'

/** The repository, absolute. */
export const ROOT: string = dirname(dirname(fileURLToPath(import.meta.url)))

const SOURCE_ROOTS = ['src', 'test', 'bench', 'examples', 'tools']
const SKIPPED = new Set(['node_modules', 'dist', 'build', 'data', '.git'])

export interface ResolvedImport extends ModuleImport {
  /** Repository path of the module; undefined for packages and `node:`. */
  readonly target: string | undefined
}

export interface SourceFile {
  /** Repository path with `/`: `src/log/loglet.ts`. */
  readonly path: string
  readonly text: string
  readonly tokens: readonly Token[]
  readonly imports: readonly ResolvedImport[]
}

/** A source file made of a path and a text; what the checks run on, also in their own tests. */
export function sourceFile(path: string, text: string): SourceFile {
  const tokens = tokensOf(text)
  const imports = importsOf(tokens).map((one) => ({ ...one, target: targetOf(path, one.specifier) }))
  return { path, text, tokens, imports }
}

/** Every TypeScript module of the project, without declarations (`.d.ts`). */
export function readSourceTree(): SourceFile[] {
  const paths = SOURCE_ROOTS.flatMap((root) => filesUnder(root))
  const modules = [...paths, 'vitest.config.ts'].filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  return modules.map((path) => sourceFile(path, readFileSync(join(ROOT, path), 'utf8')))
}

/** Repository paths of every file below a folder; nothing if there is no such folder. */
export function filesUnder(folder: string): string[] {
  const found: string[] = []
  for (const entry of readDirectory(folder)) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) found.push(...filesUnder(path))
    if (entry.isFile()) found.push(path)
  }
  return found.sort()
}

/** True for files that only run in tests: the suites, and everything under `test/`. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/')
}

/** True for a suite that every implementation of a contract runs. Shipped: it is handed its test framework. */
export function isConformanceSuite(path: string): boolean {
  return path.endsWith('.conformance.ts')
}

function targetOf(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts')
}

function readDirectory(folder: string) {
  try {
    return readdirSync(join(ROOT, folder), { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

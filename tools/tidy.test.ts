// The architecture as a test: layers, implementations, cycles, the outside world, names, sizes, words. Each rule is first
// shown a violation, so that a rule that finds nothing is known to be able to.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ambientUses } from './ambient-rules.ts'
import { cycles, deadModules, forbiddenImports, namedImplementations, unknownFolders } from './layer-rules.ts'
import { ENTRY_POINTS, LAYERS } from './layers.ts'
import { filesUnder, ROOT, readSourceTree, type SourceFile, sourceFile } from './source-tree.ts'
import { badNames, defaultExports, forbiddenText, tooLong } from './text-rules.ts'

const files = readSourceTree()

const TEXT_FILE = /\.(ts|mts|js|mjs|c|py|sh|md|json|ya?ml|cfg|txt)$|(^|\/)(LICENSE|run|\.gitignore|\.npmrc)$/
const GENERATED = /(^|\/)package-lock\.json$/

/** The rule's own patterns and the tests of the rules name what they forbid. */
const ABOUT_THE_RULES = new Set(['tools/text-rules.ts', 'tools/tidy.test.ts'])

describe('the source tree', () => {
  it('has no folder that the layer table does not know', () => {
    expect(unknownFolders(files)).toEqual([])
  })

  it('imports only what the layer table allows', () => {
    expect(forbiddenImports(files)).toEqual([])
  })

  it('names implementations only in the composition root, the simulator, tests and their own folder', () => {
    expect(namedImplementations(files)).toEqual([])
  })

  it('has no cycle between files', () => {
    expect(cycles(files)).toEqual([])
  })

  it('has no module that no entry point reaches', () => {
    expect(deadModules(files)).toEqual([])
  })

  it('touches the outside world only through the runtime', () => {
    expect(ambientUses(files)).toEqual([])
  })

  it('has no default export', () => {
    expect(defaultExports(files)).toEqual([])
  })

  it('has kebab-case file names, each once', () => {
    expect(badNames(files)).toEqual([])
  })

  it('has no module of more than 400 lines', () => {
    expect(tooLong(files)).toEqual([])
  })

  it('contains nothing that only one machine or one reader understands', () => {
    const texts = filesUnder('').filter((path) => TEXT_FILE.test(path) && !GENERATED.test(path))
    const checked = texts.filter((path) => !ABOUT_THE_RULES.has(path))
    expect(checked.flatMap((path) => forbiddenText(path, readFileSync(join(ROOT, path), 'utf8')))).toEqual([])
  })

  it('has every entry point that the table lists', () => {
    const paths = new Set(files.map((file) => file.path))
    expect(ENTRY_POINTS.filter((path) => !paths.has(path))).toEqual([])
  })

  it('has a layer table whose rows name only rows', () => {
    const names = new Set(LAYERS.map((layer) => layer.name))
    const named = LAYERS.flatMap((layer) => [...layer.imports, ...(layer.types ?? [])])
    expect(named.filter((name) => !names.has(name))).toEqual([])
  })
})

describe('each rule finds what it forbids', () => {
  it('a folder without a layer', () => {
    expect(unknownFolders(tree({ 'src/helpers/x.ts': '' }))).toHaveLength(1)
  })

  it('an import upwards, a value where only types may come in, a package, a test', () => {
    const upward = tree({ 'src/base/a.ts': "import { b } from '../engine/b.ts'", 'src/engine/b.ts': '' })
    expect(forbiddenImports(upward)).toEqual(['src/base/a.ts:1: base may not import engine (../engine/b.ts)'])
    const value = tree({ 'src/zookeeper/a.ts': "import { b } from '../engine/b.ts'", 'src/engine/b.ts': '' })
    expect(forbiddenImports(value)).toEqual(['src/zookeeper/a.ts:1: zookeeper may use only types of engine'])
    const type = tree({ 'src/zookeeper/a.ts': "import type { B } from '../engine/b.ts'", 'src/engine/b.ts': '' })
    expect(forbiddenImports(type)).toEqual([])
    expect(forbiddenImports(tree({ 'src/log/a.ts': "import yaml from 'yaml'" }))).toHaveLength(1)
    expect(forbiddenImports(tree({ 'src/log/a.ts': "import './b.test.ts'" }))).toHaveLength(1)
  })

  it('an import of a part of a layer that has rules of its own', () => {
    const part = tree({ 'src/zookeeper/codec/a.ts': "import '../../runtime/b.ts'", 'src/runtime/b.ts': '' })
    expect(forbiddenImports(part)).toHaveLength(1)
  })

  it('an implementation named where a contract should be', () => {
    const store = { 'src/engine/a.ts': "import { M } from '../store/memory-store.ts'" }
    expect(namedImplementations(tree(store))).toHaveLength(1)
    const neighbour = { 'src/engines/a/x.ts': "import { B } from '../b/y.ts'" }
    expect(namedImplementations(tree(neighbour))).toHaveLength(1)
    const allowed = { 'src/engines/a/x.ts': "import './z.ts'", 'src/node/stacks.ts': "import '../engines/b/y.ts'" }
    expect(namedImplementations(tree(allowed))).toEqual([])
  })

  it('a cycle, also one of types', () => {
    const two = tree({ 'src/base/a.ts': "import type { B } from './b.ts'", 'src/base/b.ts': "export * from './a.ts'" })
    expect(cycles(two)).toEqual(['src/base/a.ts -> src/base/b.ts -> src/base/a.ts'])
  })

  it('a module that only its own test imports', () => {
    const dead = tree({ 'src/base/a.ts': '', 'src/base/a.test.ts': "import './a.ts'" })
    expect(deadModules(dead)).toEqual(['src/base/a.ts: no entry point reaches it'])
    const worker = "new Worker(new URL('../store/w.js', import.meta.url))"
    expect(deadModules(tree({ 'src/cli/main.ts': worker, 'src/store/w.ts': '' }))).toEqual([])
  })

  it('an ambient clock, timer, chance, locale, process or module, but not an injected one', () => {
    const uses = [
      'Date.now()',
      'new Date()',
      'Math.random()',
      'setTimeout(f, 1)',
      'process.env.X',
      'a.localeCompare(b)',
      'Intl.Collator()',
      "import { readFile } from 'node:fs'",
      "import { randomBytes } from 'node:crypto'",
    ]
    for (const use of uses) expect(ambientUses(tree({ 'src/log/a.ts': use })), use).toHaveLength(1)
    const fine =
      "runtime.process.env; timers.setTimeout(f); new Date(5); // Date.now()\n'Date.now()'; import { crc32 } from 'node:zlib'"
    expect(ambientUses(tree({ 'src/log/a.ts': fine }))).toEqual([])
    expect(ambientUses(tree({ 'src/zelos/a.ts': "import { crc32 } from 'node:zlib'" }))).toHaveLength(1)
    expect(ambientUses(tree({ 'src/node/a.ts': 'Date.now()' }))).toEqual([])
  })

  it('a default export, a bad name, a name twice, a long module', () => {
    expect(defaultExports(tree({ 'src/base/a.ts': 'export default 1' }))).toHaveLength(1)
    expect(defaultExports(tree({ 'src/base/a.ts': 'const a = 1\nexport { a as default }' }))).toHaveLength(1)
    expect(badNames(tree({ 'src/base/byteReader.ts': '' }))).toHaveLength(1)
    expect(badNames(tree({ 'src/base/a.ts': '', 'src/log/a.ts': '' }))).toHaveLength(1)
    expect(tooLong(tree({ 'src/base/a.ts': '\n'.repeat(401) }))).toHaveLength(1)
  })

  it('a path of one machine, a registry, an unfinished mark', () => {
    const lines = ['see /home/someone/project', 'https://registry.example.org/', 'TODO: later', 'as issue 12 says']
    for (const line of lines) expect(forbiddenText('a.md', line), line).toHaveLength(1)
    expect(forbiddenText('a.md', 'a session, its home and the issue of a command')).toEqual([])
  })
})

function tree(sources: Readonly<Record<string, string>>): SourceFile[] {
  return Object.entries(sources).map(([path, text]) => sourceFile(path, text))
}

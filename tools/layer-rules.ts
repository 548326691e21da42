// The rules on how modules hang together: layers, implementations, cycles, dead modules. Pure functions from source files to
// violations; the table that they apply is layers.ts.

import {
  COMPOSITION_LAYERS,
  ENTRY_POINTS,
  IMPLEMENTATION_MODULES,
  LAYERS,
  type Layer,
  OUTER_FOLDERS,
} from './layers.ts'
import { isTest, type ResolvedImport, type SourceFile } from './source-tree.ts'

/** The layer of a repository path: the longest name that fits; undefined outside `src/` or in an unknown folder. */
export function layerOf(path: string): Layer | undefined {
  const fitting = LAYERS.filter((layer) => path.startsWith(`src/${layer.name}/`))
  return fitting.sort((a, b) => b.name.length - a.name.length)[0]
}

/** Modules of `src/` whose folder is not in the table, or that lie in a plural folder's subfolder without a name. */
export function unknownFolders(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => file.path.startsWith('src/') && layerOf(file.path) === undefined)
    .map((file) => `${file.path}: its folder is not a layer of tools/layers.ts`)
}

/** Imports that the table does not allow. Tests may import anything of the project. */
export function forbiddenImports(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    if (isTest(file.path) || isOuter(file.path)) return []
    const layer = layerOf(file.path)
    if (layer === undefined) return []
    return file.imports.flatMap((one) => {
      const reason = one.target === undefined ? packageFault(layer, one.specifier) : layerFault(layer, one, one.target)
      return reason === undefined ? [] : [`${file.path}:${one.line}: ${reason}`]
    })
  })
}

function layerFault(layer: Layer, one: ResolvedImport, target: string): string | undefined {
  if (!target.startsWith('src/')) return `src/ must not import ${target}`
  if (target.endsWith('.test.ts')) return `${target} is a test`
  const imported = layerOf(target)
  if (imported === undefined || imported === layer || layer.imports.includes(imported.name)) return undefined
  if (layer.types?.includes(imported.name)) {
    return one.typeOnly ? undefined : `${layer.name} may use only types of ${imported.name}`
  }
  return `${layer.name} may not import ${imported.name} (${one.specifier})`
}

function packageFault(layer: Layer, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) return undefined
  if (layer.packages?.includes(specifier)) return undefined
  return `${layer.name} may not import the package ${specifier}`
}

/** Imports of an implementation from outside its folder, the composition root, the simulator and tests. */
export function namedImplementations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    if (isTest(file.path) || isOuter(file.path)) return []
    if (COMPOSITION_LAYERS.includes(layerOf(file.path)?.name ?? '')) return []
    return file.imports
      .filter((one) => one.target !== undefined && namesForeignImplementation(file.path, one.target))
      .map((one) => `${file.path}:${one.line}: names the implementation ${one.target}`)
  })
}

function namesForeignImplementation(from: string, target: string): boolean {
  const home = implementationHome(target)
  return home !== undefined && !from.startsWith(home)
}

/** The folder inside which an implementation may be named; undefined if the module is not one. */
function implementationHome(path: string): string | undefined {
  const layer = layerOf(path)
  if (layer?.folder === 'plural') {
    const [implementation, inside] = path.slice(`src/${layer.name}/`.length).split('/')
    return inside === undefined ? `src/${layer.name}/` : `src/${layer.name}/${implementation}/`
  }
  return IMPLEMENTATION_MODULES.some((pattern) => pattern.test(path)) ? `src/${layer?.name}/` : undefined
}

/** Cycles between files, each as `a -> b -> a`, one for every group of files that reach each other. Types count. */
export function cycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const state = new Map<string, 'open' | 'done'>()
  const trail: string[] = []
  const found: string[] = []
  const visit = (path: string): void => {
    state.set(path, 'open')
    trail.push(path)
    for (const next of targetsOf(byPath.get(path))) {
      if (state.get(next) === 'open') found.push([...trail.slice(trail.indexOf(next)), next].join(' -> '))
      else if (state.get(next) === undefined) visit(next)
    }
    trail.pop()
    state.set(path, 'done')
  }
  for (const file of files) if (state.get(file.path) === undefined) visit(file.path)
  return found
}

/**
 * Modules that no entry point reaches. A test counts as a start only for what lies outside `src/` and for what says by its
 * name that it serves tests: `x.test-support.ts`.
 */
export function deadModules(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const live = reachable(
    byPath,
    ENTRY_POINTS.filter((path) => byPath.has(path)),
  )
  const fromTests = reachable(
    byPath,
    [...byPath.keys()].filter((path) => path.endsWith('.test.ts')),
  )
  return files
    .map((file) => file.path)
    .filter((path) => !path.endsWith('.test.ts') && !path.startsWith('examples/'))
    .filter((path) => !live.has(path) && !(servesTests(path) && fromTests.has(path)))
    .map((path) => `${path}: no entry point reaches it`)
}

function reachable(byPath: ReadonlyMap<string, SourceFile>, starts: readonly string[]): Set<string> {
  const seen = new Set<string>()
  const waiting = [...starts]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    waiting.push(...targetsOf(byPath.get(path)))
  }
  return seen
}

function targetsOf(file: SourceFile | undefined): string[] {
  return (file?.imports ?? []).flatMap((one) => (one.target === undefined ? [] : [one.target]))
}

function servesTests(path: string): boolean {
  return isOuter(path) || path.endsWith('.test-support.ts')
}

function isOuter(path: string): boolean {
  return OUTER_FOLDERS.includes(path.split('/')[0] as string)
}

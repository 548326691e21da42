// The package as users get it: packed, installed into an empty folder, run, embedded, compiled against.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PUBLIC_NAMES = join(ROOT, 'testdata/public-names.txt')

let folder: string

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'delos-package-'))
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  run('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${packed.trim()}`)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

it('holds what users need and no tests', () => {
  const root = join(folder, 'node_modules/delos')
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'dist/cli/main.js', 'docs']) {
    expect(existsSync(join(root, file)), file).toBe(true)
  }
  const files = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
  expect(files.filter((file) => file.includes('.test.'))).toEqual([])
})

it('npx delos serve starts a server', async () => {
  const flags = ['--json', '--zookeeper-port', '0', '--metrics-port', 'off', '--api-port', '0', '--admin-port', 'off']
  const child = spawn('npx', ['delos', 'serve', ...flags], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  try {
    const line = await new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
    const message = JSON.parse(line) as { ready: boolean; addresses: Record<string, string> }
    expect(message.ready).toBe(true)
    expect((await fetch(`http://${message.addresses.api}/readyz`)).status).toBe(200)
  } finally {
    process.kill(-(child.pid as number), 'SIGTERM')
    await new Promise((resolve) => child.once('exit', resolve))
  }
})

it('a program embeds it, and ends by itself once it is closed', () => {
  const program = `
    import { openServer } from 'delos'
    const server = await openServer({ dataDir: './embedded', zookeeper: { port: 0 } })
    const { ready, databases } = server.status()
    await server.close()
    console.log(JSON.stringify({ ready, state: databases.zelos.state, keys: Object.keys(server.addresses) }))`
  writeFileSync(join(folder, 'embed.js'), program)
  const printed = run(process.execPath, 'embed.js')
  expect(JSON.parse(printed)).toEqual({ ready: true, state: 'serving', keys: ['zookeeper'] })
})

it('delos/testing loads, and nothing in the package imports a test framework', () => {
  writeFileSync(join(folder, 'testing.js'), `console.log(Object.keys(await import('delos/testing')).length > 0)`)
  expect(run(process.execPath, 'testing.js')).toBe('true\n')
  const dist = join(folder, 'node_modules/delos/dist')
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  expect(
    files.filter((file) => /from 'vitest'|from 'fast-check'/.test(readFileSync(join(dist, file), 'utf8'))),
  ).toEqual([])
})

it('an engine and a database compile against the public types', () => {
  mkdirSync(join(folder, 'typed'))
  writeFileSync(join(folder, 'typed/program.ts'), TYPED_PROGRAM)
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'NodeNext',
    target: 'ES2023',
    lib: ['ES2023', 'ESNext.Disposable'],
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
  }
  writeFileSync(join(folder, 'typed/tsconfig.json'), JSON.stringify({ compilerOptions, include: ['program.ts'] }))
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  try {
    run(process.execPath, tsc, '-p', 'typed')
  } catch (error) {
    throw new Error((error as { stdout: string }).stdout)
  }
})

const TYPED_PROGRAM = `
import { batchingEngine, openServer, type Server } from 'delos'
import { type Applicator, type EngineFactory, EngineLayer, type Entry, type Completion, withHeader } from 'delos/engine'
import { type LogPos } from 'delos/log'
import { type ReadWriteTx, subStorePrefix } from 'delos/store'

class Stamping extends EngineLayer {
  override propose(entry: Entry, completion: Completion<unknown>): void {
    super.propose(withHeader(entry, this.name, new Uint8Array([1])), completion)
  }
}

const stamping: EngineFactory = {
  name: 'stamping',
  levelMax: 0,
  neighbours: {},
  create: (context) => new Stamping('stamping', context),
}

class Register implements Applicator<number> {
  apply(tx: ReadWriteTx, entry: Entry, pos: LogPos): number {
    tx.put(subStorePrefix('register'), entry.payload ?? new Uint8Array(0))
    return pos
  }
  postApply(): void {}
}

export async function open(dataDir: string): Promise<Server> {
  const engines = [stamping, batchingEngine()]
  return await openServer({ dataDir, databases: [{ name: 'register', applicator: new Register(), engines }] })
}
`

it('exports the names of testdata/public-names.txt and no others', () => {
  const entries: Record<string, string> = {
    delos: 'node/index',
    'delos/engine': 'engine/index',
    'delos/log': 'log/index',
    'delos/store': 'store/index',
    'delos/table': 'table/index',
    'delos/testing': 'sim/testing',
  }
  const names = Object.entries(entries).flatMap(([entry, file]) =>
    exportedNames(readFileSync(join(ROOT, 'dist', `${file}.d.ts`), 'utf8')).map((name) => `${entry} ${name}`),
  )
  const listed = `${names.join('\n')}\n`
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(PUBLIC_NAMES, listed)
  expect(listed).toBe(readFileSync(PUBLIC_NAMES, 'utf8'))
})

/** Names in the export lists of a declaration file, sorted. Entry points consist of export lists alone. */
function exportedNames(declarations: string): string[] {
  const names: string[] = []
  for (const [, list] of declarations.matchAll(/^export (?:type )?\{([^}]*)\}/gms)) {
    for (const item of (list as string).split(',')) {
      const name = item
        .trim()
        .replace(/^type /, '')
        .split(' as ')
        .at(-1)
      if (name) names.push(name)
    }
  }
  return names.sort()
}

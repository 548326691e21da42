// The pages of docs/ that build something: their blocks are put together, compiled against the published types and run.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { ERROR_CODES } from '../src/base/delos-error.ts'
import { DEFAULT_TABLE_LIMITS } from '../src/table/table-limits.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { resolve } = createRequire(import.meta.url)
const TSC = join(dirname(resolve('typescript/package.json')), 'bin', 'tsc')
const VITEST = join(dirname(resolve('vitest/package.json')), 'vitest.mjs')

/** One page, built in a folder inside the package, so that its public names resolve to what was built. */
class Walkthrough {
  /** By name, in order of the page. */
  readonly files = new Map<string, string>()
  private readonly page: string
  private readonly work: string

  constructor(name: string) {
    this.page = readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8')
    this.work = join(ROOT, 'build', 'walkthrough', name)
    for (const [, file, code] of this.page.matchAll(/^```ts file=(\S+)\n(.*?)^```$/gms)) {
      this.files.set(file as string, (this.files.get(file as string) ?? '') + code)
    }
  }

  compile(): void {
    rmSync(this.work, { recursive: true, force: true })
    mkdirSync(this.work, { recursive: true })
    for (const [file, code] of this.files) writeFileSync(join(this.work, file), code)
    const config = {
      extends: '../../../tsconfig.json',
      compilerOptions: { noEmit: false, paths: {}, rootDir: '.', outDir: 'out' },
      include: ['*.ts'],
      exclude: [],
    }
    writeFileSync(join(this.work, 'tsconfig.json'), JSON.stringify(config))
    execFileSync(process.execPath, [TSC, '-p', this.work], { stdio: 'inherit' })
  }

  /** What the page says its program prints, and what it does print. */
  outputs(): { said: string; printed: string } {
    const dataDir = mkdtempSync(join(tmpdir(), 'walkthrough-'))
    try {
      const printed = execFileSync(process.execPath, [join(this.work, 'out/try.js'), dataDir], { encoding: 'utf8' })
      const said = [...this.page.matchAll(/^```text\n(.*?)^```$/gms)].map(([, text]) => text).join('')
      return { said, printed }
    } finally {
      rmSync(dataDir, { recursive: true })
    }
  }

  /** Runs the page's own tests, which throw if they fail. */
  runTests(): void {
    const out = join(this.work, 'out')
    // Its own, or the one of this repository would be found.
    writeFileSync(join(out, 'vitest.config.mjs'), "export default { test: { include: ['*.test.js'] } }")
    execFileSync(process.execPath, [VITEST, 'run', '--root', out, '--reporter', 'dot'], { stdio: 'pipe' })
  }
}

it('docs/writing-a-database.md compiles against the public types and prints what it says', () => {
  const walkthrough = new Walkthrough('writing-a-database')
  walkthrough.compile()
  const { said, printed } = walkthrough.outputs()
  expect(printed).toBe(said)
})

it('docs/writing-an-engine.md builds examples/compression, whose tests pass and whose program prints what it says', () => {
  const walkthrough = new Walkthrough('writing-an-engine')
  expect([...walkthrough.files.keys()]).toEqual(['compression.ts', 'compression.test.ts', 'try.ts'])
  for (const [file, code] of walkthrough.files) {
    expect(code).toBe(readFileSync(join(ROOT, 'examples/compression', file), 'utf8'))
  }
  walkthrough.compile()
  walkthrough.runTests()
  const { said, printed } = walkthrough.outputs()
  expect(printed).toBe(said)
})

it('docs/table.md compiles, also where it says that something does not, and prints what it says', () => {
  const walkthrough = new Walkthrough('table')
  walkthrough.compile()
  const { said, printed } = walkthrough.outputs()
  expect(printed).toBe(said)
})

it('docs/table.md names every limit with its value, and only codes that there are', () => {
  const page = readFileSync(join(ROOT, 'docs/table.md'), 'utf8')
  for (const [name, value] of Object.entries(DEFAULT_TABLE_LIMITS)) {
    expect(page).toMatch(new RegExp(`^\\| [^|]*\`${name}\`[^|]*\\|[^|]*\\b${value}\\b`, 'm'))
  }
  const rows = [...page.matchAll(/^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|/gm)].map((match) => match[1] as string)
  const codes = rows.flatMap((row) => row.replaceAll('`', '').split(', '))
  expect(codes.length).toBeGreaterThan(10)
  expect(codes.filter((code) => !(code in ERROR_CODES))).toEqual([])
})

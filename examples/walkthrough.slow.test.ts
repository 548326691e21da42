import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
/** Inside the package, so that its public names resolve to what was built. */
const WORK = join(ROOT, 'build', 'walkthrough')

/** The code blocks of a page, joined by the file that each says it belongs to. */
function filesOf(page: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const [, file, code] of page.matchAll(/^```ts file=(\S+)\n(.*?)^```$/gms)) {
    files.set(file as string, (files.get(file as string) ?? '') + code)
  }
  return files
}

it('docs/writing-a-database.md compiles against the public types and prints what it says', () => {
  const page = readFileSync(join(ROOT, 'docs/writing-a-database.md'), 'utf8')
  const expected = /^```text\n(.*?)^```$/ms.exec(page)?.[1]
  rmSync(WORK, { recursive: true, force: true })
  mkdirSync(WORK, { recursive: true })
  for (const [file, code] of filesOf(page)) writeFileSync(join(WORK, file), code)
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { noEmit: false, paths: {}, rootDir: '.', outDir: 'out' },
    include: ['*.ts'],
    exclude: [],
  }
  writeFileSync(join(WORK, 'tsconfig.json'), JSON.stringify(config))
  execFileSync(process.execPath, [TSC, '-p', WORK], { stdio: 'inherit' })
  const dataDir = mkdtempSync(join(tmpdir(), 'walkthrough-'))
  try {
    expect(execFileSync(process.execPath, [join(WORK, 'out/try.js'), dataDir], { encoding: 'utf8' })).toBe(expected)
  } finally {
    rmSync(dataDir, { recursive: true })
  }
})

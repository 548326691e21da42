// Temporary directories of a test file: removed when its process ends, kept with DELOS_TEST_KEEP=1.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made: string[] = []

export function tempDir(purpose: string): string {
  const dir = mkdtempSync(join(tmpdir(), `delos-test-${purpose}-`))
  made.push(dir)
  return dir
}

process.once('exit', () => {
  if (process.env.DELOS_TEST_KEEP === '1') console.log(`kept: ${made.join(' ')}`)
  else for (const dir of made) rmSync(dir, { recursive: true, force: true })
})

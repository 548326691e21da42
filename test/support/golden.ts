// Golden files: stored and sent formats as hex in testdata/. They are written by hand once and never change.

import { readFileSync } from 'node:fs'

/** The hex digits of a file in testdata/, without line breaks. */
export function readGolden(path: string): string {
  return readFileSync(new URL(`../../testdata/${path}`, import.meta.url), 'utf8').replaceAll(/\s/g, '')
}

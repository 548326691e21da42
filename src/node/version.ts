// The product's version, read from its package.json.

import { readFileSync } from 'node:fs'

let version: string | undefined

/** As in package.json: `1.2.3`. */
export function productVersion(): string {
  version ??= (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version
  return version
}

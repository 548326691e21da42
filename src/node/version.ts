// The product's version, read from its package.json, and that of the ZooKeeper it behaves like.

import { readFileSync } from 'node:fs'

export { ZOOKEEPER_VERSION } from '../zookeeper/server-options.ts'

let version: string | undefined

/** As in package.json: `1.2.3`. */
export function productVersion(): string {
  version ??= (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version
  return version
}

// `delos version`: the product's version, the ZooKeeper it behaves like, the runtime under it.

import type { Command } from 'commander'
import { productVersion, ZOOKEEPER_VERSION } from '../node/version.ts'

export function addVersionCommand(root: Command): void {
  root
    .command('version')
    .description('print versions')
    .option('--json', 'as one line of JSON')
    .action((options: { json?: boolean }) => {
      const versions = { delos: productVersion(), zookeeper: ZOOKEEPER_VERSION, node: process.versions.node }
      const text = `delos ${versions.delos} (speaks ZooKeeper ${versions.zookeeper}; Node.js ${versions.node})`
      process.stdout.write(`${options.json ? JSON.stringify(versions) : text}\n`)
    })
}

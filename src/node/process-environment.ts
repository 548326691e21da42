// What the four-letter word `envi` tells of this process.

import { arch, hostname, platform, release } from 'node:os'

/** Lines in ZooKeeper's style; the names that have a meaning here. */
export function processEnvironment(): readonly (readonly [name: string, value: string])[] {
  return [
    ['host.name', hostname()],
    ['node.version', process.versions.node],
    ['os.name', platform()],
    ['os.arch', arch()],
    ['os.version', release()],
  ]
}

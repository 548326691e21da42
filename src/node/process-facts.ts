// What the four-letter words `envi` and `mntr` tell of this process.

import { readdirSync, readFileSync } from 'node:fs'
import { arch, homedir, hostname, release, type, userInfo } from 'node:os'
import type { ProcessFacts } from '../zookeeper/server-options.ts'

/** Lines in ZooKeeper's style, with its names where they have a meaning here. */
export function processFacts(): ProcessFacts {
  return {
    environment: [
      ['host.name', hostname()],
      ['node.version', process.versions.node],
      ['os.name', type()],
      ['os.arch', arch()],
      ['os.version', release()],
      ['user.name', userName()],
      ['user.home', homedir()],
      ['user.dir', process.cwd()],
    ],
    fileDescriptors,
  }
}

function fileDescriptors(): { open: number; max: number } | undefined {
  try {
    // One less: the directory itself is open while it is listed.
    const open = readdirSync('/proc/self/fd').length - 1
    const max = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return { open, max: max === undefined || max === 'unlimited' ? -1 : Number(max) }
  } catch {
    // Only Linux tells.
    return undefined
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without an entry in the system's list, as in many containers.
    return String(process.getuid?.() ?? '')
  }
}

// The log as the engines of one simulated process see it: what it answers after the process has died reaches nobody.

import type { SharedLog } from '../../../log/shared-log.ts'
import type { Life } from '../../life.ts'
import { whileAlive } from '../log/watched-loglets.ts'

/** The same log, silent once `life` ended. */
export function processLog(log: SharedLog, life: Life): SharedLog {
  return {
    get maxEntryBytes() {
      return log.maxEntryBytes
    },
    get knownTail() {
      return log.knownTail
    },
    append: (bytes) => whileAlive(life, log.append(bytes)),
    checkTail: () => whileAlive(life, log.checkTail()),
    readNext: (from, to, maxBytes) => whileAlive(life, log.readNext(from, to, maxBytes)),
    prefixTrim: (to) => whileAlive(life, log.prefixTrim(to)),
    onTailMoved: (listener) =>
      log.onTailMoved((tail) => {
        if (life.alive) listener(tail)
      }),
    oldest: () => log.oldest(),
    close: () => log.close(),
  }
}

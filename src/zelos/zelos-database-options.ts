// What a Zelos database is told, and what it needs of the stack below it.

import type { Completion } from '../engine/engine.ts'
import type { Entry } from '../engine/entry.ts'
import type { TimerService } from '../engine/timer-service.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { ReadTx } from '../store/local-store.ts'
import type { ZelosLimits } from './limits.ts'
import type { UpdateResult } from './requests.ts'
import type { OptionalScheme } from './tree/acl-schemes.ts'
import type { Announcement } from './tree/config-node.ts'
import type { QuotaNotice } from './tree/quotas.ts'
import type { ZelosApplicator } from './zelos-applicator.ts'

/** The top of a stack of engines, as a database sees it. */
export interface UpdateLog {
  submit(entry: Entry, completion: Completion<UpdateResult>): void
  sync(): Promise<unknown>
}

export interface ZelosDatabaseOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'timers' | 'random'>
  /** The applicator that the stack below `log` calls. */
  readonly applicator: ZelosApplicator
  readonly log: UpdateLog
  readonly store: { read(): ReadTx }
  readonly limits?: Partial<ZelosLimits>
  /** The replicated timers of the stack, which the applicator uses too. Without them no session expires. */
  readonly timerService?: TimerService | undefined
  /** How many servers there are: with others, sessions that show life here are renewed through the log. Default: this one. */
  readonly memberCount?: () => number
  /** What this server announces of itself in /zookeeper/config; undefined as long as it does not know. Default: never. */
  readonly member?: () => Announcement | undefined
  /** Which of the optional schemes access lists from this server's clients may name. Default: digest. */
  readonly aclSchemes?: readonly OptionalScheme[]
  /** ZooKeeper's `enforceQuota`: hard limits of quotas refuse updates of this server's clients. Default: they only warn. */
  readonly enforceQuotas?: boolean
  /** Told of each update that went beyond a quota, at whatever server, while this one is serving. */
  readonly onQuotaExceeded?: (notice: QuotaNotice) => void
}

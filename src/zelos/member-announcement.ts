// Announces this server in /zookeeper/config when what is there of it, or of others that have left, is not so any more. Looks once
// a second, at a few rows; writes only what is new.

import type { Completion } from '../engine/engine.ts'
import type { Timer, Timers } from '../runtime/runtime.ts'
import type { Update, UpdateResult } from './requests.ts'
import type { Announcement } from './tree/config-node.ts'

const LOOK_MS = 1_000

export interface MemberAnnouncementContext {
  readonly timers: Pick<Timers, 'after'>
  /** What this server would announce; undefined as long as it does not know. */
  readonly member: () => Announcement | undefined
  readonly isKnown: (announcement: Announcement) => boolean
  propose(update: Update, completion: Completion<UpdateResult>): void
}

export class MemberAnnouncement {
  private readonly context: MemberAnnouncementContext
  private timer: Timer | undefined
  private isRunning = false

  constructor(context: MemberAnnouncementContext) {
    this.context = context
  }

  start(): void {
    if (this.isRunning) return
    this.isRunning = true
    this.look()
  }

  stop(): void {
    this.isRunning = false
    this.timer?.cancel()
  }

  private readonly look = (): void => {
    const { isKnown, member } = this.context
    const announcement = member()
    if (announcement === undefined || isKnown(announcement)) return this.later()
    // Whatever comes of it: the next look shows.
    this.context.propose({ kind: 'announceMember', ...announcement }, { resolve: this.later, reject: this.later })
  }

  private readonly later = (): void => {
    if (this.isRunning) this.timer = this.context.timers.after(LOOK_MS, this.look)
  }
}

// The propose side of Time at one server: lets the stopwatches run, and votes through the log for those that have run. Soft
// state only. Not here: what a vote does (time-engine.ts).

import type { DelosError } from '../../base/delos-error.ts'
import type { ProposalCounts } from '../../engine/bottom-engine.ts'
import type { Completion } from '../../engine/engine.ts'
import type { Clock, Timer, Timers } from '../../runtime/runtime.ts'
import type { Stopwatch, Stopwatches } from './stopwatches.ts'
import type { TimeHeader } from './time-header.ts'

export interface VotingParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly serverId: string
  readonly tickMs: number
  /** Votes between propose and result; the others wait, which costs nothing: they stay due. */
  readonly votesInFlightMax: number
  readonly stopwatches: Stopwatches
  readonly propose: (header: TimeHeader, completion: Completion<unknown>) => void
  readonly proposals: () => ProposalCounts
  /** Called at each tick, after the stopwatches. */
  readonly ticked: () => void
}

/** When proposals wait and none has come back for so long, the log is taken to be away. */
const LOG_SILENT_MS = 1000
/** After a vote that was counted and did not fire, the next: members come and go, and only the current ones count. */
const REVOTE_MS = 30_000

/**
 * Votes leave only behind a probe: an entry of this server that was proposed when they were due and has come back. So votes are
 * never in the log's hands when it goes away, and a server that lags has applied every later arming before it votes.
 */
export class Voting {
  /** Cumulative. */
  votes = 0
  private readonly parts: VotingParts
  private timer: Timer | undefined
  /** Have run and wait for their vote; those before `next` are done with. */
  private due: Stopwatch[] = []
  private next = 0
  private probing = false
  private inFlight = 0
  private sending = false
  private answered = 0
  private silentMs = 0

  constructor(parts: VotingParts) {
    this.parts = parts
  }

  get waiting(): number {
    return this.due.length - this.next + this.inFlight
  }

  /** All stopwatches start. Idempotent. */
  start(): void {
    if (this.timer !== undefined) return
    this.parts.stopwatches.begin(this.parts.clock.monotonicMs())
    this.silentMs = 0
    this.schedule()
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = undefined
    this.due = []
    this.next = 0
  }

  /** Called by Ballot alone. */
  voted(stopwatch: Stopwatch): void {
    this.inFlight--
    this.parts.stopwatches.retry(stopwatch, REVOTE_MS)
    this.send()
  }

  /** Called by Ballot alone: while the log refuses updates, nobody can show life by coming back. */
  refused(stopwatch: Stopwatch): void {
    this.inFlight--
    this.parts.stopwatches.restartAll()
    this.parts.stopwatches.again(stopwatch)
    this.send()
  }

  private schedule(): void {
    this.timer = this.parts.timers.after(this.parts.tickMs, () => this.tick())
  }

  private tick(): void {
    const { clock, stopwatches, ticked } = this.parts
    this.schedule()
    const alive = this.ownEntriesComeBack()
    if (!alive) stopwatches.restartAll()
    for (const stopwatch of stopwatches.tick(clock.monotonicMs())) this.due.push(stopwatch)
    ticked()
    if (this.next === this.due.length || this.probing) return
    // What a standstill has restarted is not due any more: then there is nothing to vote for.
    if (!alive || !this.anyDue()) this.send()
    else if (this.inFlight === 0) this.probe()
  }

  /** False if proposals of this server wait and none has come back for a second. */
  private ownEntriesComeBack(): boolean {
    const { waiting, answered } = this.parts.proposals()
    const silent = waiting > 0 && answered === this.answered
    this.answered = answered
    this.silentMs = silent ? this.silentMs + this.parts.tickMs : 0
    return this.silentMs < LOG_SILENT_MS
  }

  private anyDue(): boolean {
    const { stopwatches } = this.parts
    for (let i = this.next; i < this.due.length; i++) {
      const stopwatch = this.due[i] as Stopwatch
      if (!stopwatch.removed && stopwatches.isDue(stopwatch)) return true
    }
    return false
  }

  private probe(): void {
    this.probing = true
    this.parts.propose(
      { kind: 'probe' },
      {
        resolve: () => {
          this.probing = false
          this.send()
        },
        reject: () => {
          this.probing = false
          this.parts.stopwatches.restartAll()
          this.send()
        },
      },
    )
  }

  /** Votes for what is due still. */
  private send(): void {
    if (this.sending) return
    this.sending = true
    const { serverId, stopwatches, votesInFlightMax } = this.parts
    while (this.next < this.due.length && this.inFlight < votesInFlightMax) {
      const stopwatch = this.due[this.next++] as Stopwatch
      if (stopwatch.removed) continue
      if (!stopwatches.isDue(stopwatch)) {
        stopwatches.again(stopwatch)
        continue
      }
      this.inFlight++
      this.votes++
      const { generation, id } = stopwatch
      this.parts.propose({ kind: 'vote', serverId, generation, id }, new Ballot(this, stopwatch))
    }
    if (this.next === this.due.length) {
      this.due = []
      this.next = 0
    }
    this.sending = false
  }
}

/** One vote in flight. */
class Ballot implements Completion<unknown> {
  private readonly voting: Voting
  private readonly stopwatch: Stopwatch

  constructor(voting: Voting, stopwatch: Stopwatch) {
    this.voting = voting
    this.stopwatch = stopwatch
  }

  resolve(): void {
    this.voting.voted(this.stopwatch)
  }

  reject(_error: DelosError): void {
    this.voting.refused(this.stopwatch)
  }
}

// The replicated state of backups: which range of the log is uploaded, who is at work on what, which snapshots there are, what was
// given up. Every change is a deterministic function of content, message and position. Not here: who proposes what, and when.
//
// Held in memory as well, as of the entry being applied, as the view of ViewTracking is: an aborted transaction stops the
// database, so outside apply memory and store agree. Its keys: backup-rows.ts.

import type { Key } from '../../base/key.ts'
import { LOG_START, type LogPos } from '../../log/position.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import type { BackupMessage, Begin, Claim, Done, Forget, Kept, OfClaim, Skip, Takeover } from './backup-message.ts'
import {
  type BackedUpHistory,
  type BackupGap,
  BackupRows,
  type HeldClaim,
  type KeptSnapshot,
  type SegmentClaim,
} from './backup-rows.ts'

/** Replicated behaviour: claims of segments at a time; one more is refused. */
export const CLAIMS_MAX = 16
/** Replicated behaviour: one more snapshot is refused until others are forgotten. */
export const SNAPSHOTS_MAX = 1000
/** Replicated behaviour: ranges given up that are remembered, the newest. */
export const GAPS_MAX = 64

/** What apply answered; the same on all servers. */
export type BackupOutcome =
  | { readonly kind: 'done' }
  /** It does not fit the state any more; nothing changed. */
  | { readonly kind: 'void'; readonly reason: string }

const DONE: BackupOutcome = { kind: 'done' }

export class BackupState {
  /** Undefined until backups have begun. */
  history: BackedUpHistory | undefined
  /** Everything in [start, end) is uploaded or was given up. */
  end: LogPos = LOG_START
  /** Nothing below is kept in the backup. */
  first: LogPos = LOG_START
  /** Bytes of all segments that were ever uploaded. */
  segmentBytes = 0
  /** Claims of segments, ascending and without holes from `end` on. */
  claims: readonly SegmentClaim[] = []
  snapshotClaim: HeldClaim | undefined
  /** By cursor, ascending. */
  snapshots: readonly KeptSnapshot[] = []
  gaps: readonly BackupGap[] = []
  private readonly rows: BackupRows

  /** `prefix` is the engine's key range. */
  constructor(prefix: Key) {
    this.rows = new BackupRows(prefix)
  }

  /** The next claim begins here. */
  get claimedTo(): LogPos {
    return this.claims.at(-1)?.to ?? this.end
  }

  load(tx: ReadTx): void {
    const { claims, gaps, head, snapshotClaim, snapshots } = this.rows.load(tx)
    this.history = head?.history
    this.end = head?.end ?? LOG_START
    this.first = head?.first ?? LOG_START
    this.segmentBytes = head?.segmentBytes ?? 0
    this.claims = claims
    this.snapshotClaim = snapshotClaim
    this.snapshots = snapshots
    this.gaps = gaps
  }

  apply(tx: ReadWriteTx, message: BackupMessage, pos: LogPos): BackupOutcome {
    if (message.kind === 'begin') return this.begin(tx, message, pos)
    if (this.history === undefined) return isVoid('backups have not begun')
    switch (message.kind) {
      case 'claim':
        return this.claim(tx, message, pos)
      case 'progress':
        return this.progress(tx, message, pos)
      case 'done':
        return this.done(tx, message)
      case 'takeover':
        return this.takeOver(tx, message, pos)
      case 'snapshot':
        if (this.snapshotClaim !== undefined) return isVoid('another server makes a snapshot')
        if (this.snapshots.length >= SNAPSHOTS_MAX) return isVoid(`snapshotsMax is ${SNAPSHOTS_MAX}`)
        return this.setSnapshotClaim(tx, { id: pos, serverId: message.serverId, lastHeard: pos })
      case 'kept':
        return this.kept(tx, message, pos)
      case 'abandon':
        if (!this.holdsSnapshot(message)) return isVoid('the claim is not current')
        return this.setSnapshotClaim(tx, undefined)
      case 'skip':
        return this.skip(tx, message, pos)
      case 'forget':
        return this.forget(tx, message)
    }
  }

  /** Is that claim as it is held now? Apart, so that a simulation can plant the bug. */
  protected isCurrent(claim: HeldClaim, id: LogPos): boolean {
    return claim.id === id
  }

  private begin(tx: ReadWriteTx, { historyId, wallMs }: Begin, pos: LogPos): BackupOutcome {
    if (this.history?.historyId === historyId) return isVoid('backups of this history have begun')
    this.rows.clear(tx)
    this.history = { historyId, start: pos, beganMs: wallMs }
    this.end = pos
    this.first = pos
    this.segmentBytes = 0
    this.claims = []
    this.snapshotClaim = undefined
    this.snapshots = []
    this.gaps = []
    this.saveHead(tx)
    return DONE
  }

  private claim(tx: ReadWriteTx, { from, serverId, to }: Claim, pos: LogPos): BackupOutcome {
    if (from !== this.claimedTo) return isVoid('another server was faster')
    if (to <= from || to > pos) return isVoid(`a claim from ${from} to ${to}`)
    if (this.claims.length >= CLAIMS_MAX) return isVoid(`claimsMax is ${CLAIMS_MAX}`)
    const claim: SegmentClaim = { id: pos, serverId, lastHeard: pos, from, to, done: false }
    this.claims = [...this.claims, claim]
    this.rows.putClaim(tx, claim)
    return DONE
  }

  private progress(tx: ReadWriteTx, { claim: id, serverId }: OfClaim, pos: LogPos): BackupOutcome {
    const segment = this.claims.find((claim) => claim.id === id && !claim.done && claim.serverId === serverId)
    if (segment !== undefined) return this.replace(tx, segment, { ...segment, lastHeard: pos })
    const { snapshotClaim } = this
    if (snapshotClaim === undefined || !this.holdsSnapshot({ serverId, claim: id }))
      return isVoid('the claim is not current')
    return this.setSnapshotClaim(tx, { ...snapshotClaim, lastHeard: pos })
  }

  private done(tx: ReadWriteTx, { bytes, claim: id, serverId }: Done): BackupOutcome {
    const claim = this.claims.find((one) => !one.done && this.isCurrent(one, id) && one.serverId === serverId)
    if (claim === undefined) return isVoid('the claim is not current')
    this.segmentBytes += bytes
    this.replace(tx, claim, { ...claim, done: true })
    let { end } = this
    let ended = 0
    for (const { done, to } of this.claims) {
      if (!done) break
      end = to
      ended++
    }
    for (const gone of this.claims.slice(0, ended)) this.rows.deleteClaim(tx, gone)
    this.claims = this.claims.slice(ended)
    this.end = end
    this.saveHead(tx)
    return DONE
  }

  private takeOver(tx: ReadWriteTx, { claim: id, lastHeard, serverId }: Takeover, pos: LogPos): BackupOutcome {
    const { snapshotClaim } = this
    const held = this.claims.find((claim) => claim.id === id && !claim.done) ?? snapshotClaim
    if (held === undefined || held.id !== id) return isVoid('the claim is not current')
    if (held.lastHeard !== lastHeard) return isVoid('its holder was heard later')
    const taken = { id: pos, serverId, lastHeard: pos }
    if (held === snapshotClaim) return this.setSnapshotClaim(tx, taken)
    return this.replace(tx, held as SegmentClaim, { ...(held as SegmentClaim), ...taken })
  }

  private kept(tx: ReadWriteTx, message: Kept, pos: LogPos): BackupOutcome {
    const { bytes, cursor, rows, wallMs } = message
    if (!this.holdsSnapshot(message)) return isVoid('the claim is not current')
    this.setSnapshotClaim(tx, undefined)
    const newest = this.snapshots.at(-1)?.cursor ?? this.first
    if (cursor <= newest || cursor > pos) return isVoid('there is a newer snapshot')
    const snapshot: KeptSnapshot = { cursor, wallMs, rows, bytes }
    this.snapshots = [...this.snapshots, snapshot]
    this.rows.putSnapshot(tx, snapshot)
    return DONE
  }

  private skip(tx: ReadWriteTx, { from, reason, to, wallMs }: Skip, pos: LogPos): BackupOutcome {
    if (from !== this.end) return isVoid('the backup went on meanwhile')
    if (to <= from || to > pos) return isVoid(`a range from ${from} to ${to}`)
    for (const claim of this.claims) this.rows.deleteClaim(tx, claim)
    this.claims = []
    const before = this.gaps.at(-1)
    const gap = before?.to === from ? { ...before, to, wallMs, reason } : { from, to, wallMs, reason }
    const gaps = [...(before?.to === from ? this.gaps.slice(0, -1) : this.gaps), gap]
    this.end = to
    this.setGaps(tx, gaps.slice(-GAPS_MAX))
    this.rows.putGap(tx, gap)
    this.saveHead(tx)
    return DONE
  }

  private forget(tx: ReadWriteTx, { below }: Forget): BackupOutcome {
    if (below <= this.first || !this.snapshots.some(({ cursor }) => cursor === below)) return isVoid('no such snapshot')
    for (const { cursor } of this.snapshots) if (cursor < below) this.rows.deleteSnapshot(tx, cursor)
    this.snapshots = this.snapshots.filter(({ cursor }) => cursor >= below)
    this.setGaps(
      tx,
      this.gaps.filter(({ to }) => to > below),
    )
    this.first = below
    this.saveHead(tx)
    return DONE
  }

  private holdsSnapshot({ claim, serverId }: { readonly claim: LogPos; readonly serverId: string }): boolean {
    const { snapshotClaim } = this
    return snapshotClaim !== undefined && this.isCurrent(snapshotClaim, claim) && snapshotClaim.serverId === serverId
  }

  private setSnapshotClaim(tx: ReadWriteTx, claim: HeldClaim | undefined): BackupOutcome {
    this.snapshotClaim = claim
    this.rows.putSnapshotClaim(tx, claim)
    return DONE
  }

  private replace(tx: ReadWriteTx, old: SegmentClaim, claim: SegmentClaim): BackupOutcome {
    this.claims = this.claims.map((one) => (one === old ? claim : one))
    this.rows.putClaim(tx, claim)
    return DONE
  }

  private setGaps(tx: ReadWriteTx, gaps: readonly BackupGap[]): void {
    for (const gap of this.gaps) if (!gaps.some(({ from }) => from === gap.from)) this.rows.deleteGap(tx, gap)
    this.gaps = gaps
  }

  private saveHead(tx: ReadWriteTx): void {
    const { end, first, history, segmentBytes } = this
    if (history !== undefined) this.rows.putHead(tx, { history, end, first, segmentBytes })
  }
}

function isVoid(reason: string): BackupOutcome {
  return { kind: 'void', reason }
}

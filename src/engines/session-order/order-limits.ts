// Every limit of SessionOrder with its default and unit. None is replicated behaviour.

export interface SessionOrderLimits {
  /** Proposals between propose and result, those that wait here included; OVERLOADED past it. */
  readonly outstandingCountMax: number
  readonly outstandingBytesMax: number
  /** After this long (and up to a quarter more) an unapplied proposal makes its server open a new epoch; after half of it again, INDETERMINATE. */
  readonly proposalDeadlineMs: number
  /** How long a missing entry may be overtaken before it is proposed again; doubles up to retryMsMax without progress. */
  readonly gapMs: number
  /** Pause after a refusal that left a gap; doubles up to retryMsMax. */
  readonly retryMs: number
  readonly retryMsMax: number
  /** Refusals of the same gap before a new epoch is opened. */
  readonly refusedMax: number
  /** Copies of one proposal that may end INDETERMINATE before a new epoch is opened. */
  readonly lostMax: number
}

export const SESSION_ORDER_LIMITS: SessionOrderLimits = {
  outstandingCountMax: 10_000,
  outstandingBytesMax: 64 * 1024 * 1024,
  proposalDeadlineMs: 10_000,
  gapMs: 50,
  retryMs: 10,
  retryMsMax: 1_000,
  refusedMax: 8,
  lostMax: 8,
}

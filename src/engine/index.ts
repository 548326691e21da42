// The public entry `delos/engine`: what an engine or a database is written against, and how a stack is composed.

export { DelosError, type ErrorCode } from '../base/delos-error.ts'
export { attempt } from './attempt.ts'
export type { ApplyTimes, BottomEngine, BottomStatus, ProposalCounts, StackState, StopReport } from './bottom-engine.ts'
export { DIGEST_HEADER, digestRequest, type PositionedDigest } from './digest.ts'
export type { Applicator, Completion, Engine } from './engine.ts'
export type { EngineFlags, FlagChange, FlagOutcome } from './engine-flags.ts'
export { OWN_KINDS_FROM } from './engine-flags.ts'
export { type EngineContext, EngineLayer } from './engine-layer.ts'
export {
  controlEntry,
  type Entry,
  entryOf,
  type Header,
  type Headers,
  NO_HEADERS,
  RAISED_HEADERS,
  withHeader,
} from './entry.ts'
export { decodeEntry, encodeEntry } from './entry-codec.ts'
export { type Forward, proposeForwarding } from './forwarding.ts'
export { type LeasedReads, LeaseHeld, type LeaseHolder } from './leased-reads.ts'
export { type EngineLevels, type Membership, SoloMembership } from './membership.ts'
export type { Neighbours } from './neighbours.ts'
export { PassThrough } from './pass-through.ts'
export {
  type EngineFactory,
  type EngineStatus,
  Stack,
  type StackOptions,
  type StackStatus,
  type WrapJoint,
} from './stack.ts'
export type { TimerId, TimerService, TimersSwitched } from './timer-service.ts'

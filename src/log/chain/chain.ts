// The chain: which loglet serves which positions of the virtual log. A value without behaviour of its own; edits are
// chain-edits.ts, bytes are chain-codec.ts, where it is stored is chain-register.ts.
//
//   segments   [0, 40) → a     [40, 75) → b     [75, …) → c      only the last is open
//
// Invariants, checked at the gate (when read and when edited):
//  1. There is at least one segment; only the last has no end.
//  2. Segments are contiguous: the end of one is the start of the next; a segment with an end is not empty.
//  3. Nonces are unique.
//  4. `version` counts edits from 1 and equals the version of the register that holds the chain.
//  5. `edits` ends with the identity of the edit that made this version, at most EDITS_KEPT of them.
//  6. Voided positions ascend strictly, lie at or past the first start, at most VOIDED_MAX of them.
//  7. Repairs lie at or past the first start, each before the entry that it names, no entry twice, at most REPAIRS_MAX.

import type { LogletConfig } from '../loglet.ts'
import type { LogPos } from '../position.ts'

/** One range of the virtual log and the loglet that serves it. */
export interface ChainSegment {
  readonly start: LogPos
  /** Exclusive; undefined while it is open. */
  readonly end: LogPos | undefined
  readonly config: LogletConfig
}

/** Before position `at` every server applies the entry at position `entry`, which was appended after it. */
export interface ChainRepair {
  readonly at: LogPos
  readonly entry: LogPos
}

export interface Chain {
  readonly version: number
  /** Identities of the newest edits, oldest first: whoever can't tell the outcome of its write finds its own here. */
  readonly edits: readonly string[]
  readonly segments: readonly ChainSegment[]
  /** Positions that an operator voided: applied as no-ops. */
  readonly voided: readonly LogPos[]
  /** What an operator had applied before an entry that no server could apply; in the order in which it is. */
  readonly repairs: readonly ChainRepair[]
}

export const EDITS_KEPT = 32
export const VOIDED_MAX = 64
export const REPAIRS_MAX = 64

/** The open segment. */
export function activeSegment(chain: Chain): ChainSegment {
  return chain.segments[chain.segments.length - 1] as ChainSegment
}

/** The oldest position that the chain knows. */
export function chainStart(chain: Chain): LogPos {
  return (chain.segments[0] as ChainSegment).start
}

/** The segment that serves `pos`; undefined below the start of the chain. */
export function segmentAt(chain: Chain, pos: LogPos): ChainSegment | undefined {
  for (let i = chain.segments.length - 1; i >= 0; i--) {
    const segment = chain.segments[i] as ChainSegment
    if (pos >= segment.start) return segment
  }
  return undefined
}

/** True if the chain still names the loglet with this nonce. */
export function chainNames(chain: Chain, nonce: string): boolean {
  return chain.segments.some((segment) => segment.config.nonce === nonce)
}

/** What is applied in front of `at`: repairs that are not void themselves, in their order. */
export function repairsAt(chain: Chain, at: LogPos): readonly LogPos[] {
  return chain.repairs.flatMap((repair) =>
    repair.at === at && !chain.voided.includes(repair.entry) ? [repair.entry] : [],
  )
}

/** The invariant that `chain` breaks, in words, or undefined if it is sound. */
export function brokenInvariant(chain: Chain): string | undefined {
  return brokenSegments(chain.segments) ?? brokenEdits(chain) ?? brokenVoided(chain) ?? brokenRepairs(chain)
}

function brokenSegments(segments: readonly ChainSegment[]): string | undefined {
  const nonces = new Set<string>()
  for (const [i, { start, end, config }] of segments.entries()) {
    const isLast = i === segments.length - 1
    if (!isPosition(start)) return `segment ${i} starts at ${start}`
    if (isLast !== (end === undefined)) return `segment ${i} of ${segments.length} ends at ${end}`
    if (end !== undefined && (!isPosition(end) || end <= start)) return `segment ${i} is [${start}, ${end})`
    if (end !== undefined && segments[i + 1]?.start !== end)
      return `segment ${i} ends at ${end}, the next starts elsewhere`
    if (nonces.has(config.nonce)) return `nonce ${config.nonce} appears twice`
    nonces.add(config.nonce)
  }
  return segments.length > 0 ? undefined : 'there is no segment'
}

function brokenEdits({ version, edits }: Chain): string | undefined {
  if (!Number.isSafeInteger(version) || version < 1) return `version ${version}`
  if (edits.length < 1 || edits.length > EDITS_KEPT) return `${edits.length} edits are kept`
  return undefined
}

function brokenVoided(chain: Chain): string | undefined {
  let above = chainStart(chain) - 1
  for (const pos of chain.voided) {
    if (!isPosition(pos) || pos <= above) return `voided position ${pos} after ${above}`
    above = pos
  }
  return chain.voided.length <= VOIDED_MAX
    ? undefined
    : `${chain.voided.length} voided positions, at most ${VOIDED_MAX}`
}

function brokenRepairs(chain: Chain): string | undefined {
  const entries = new Set<LogPos>()
  for (const { at, entry } of chain.repairs) {
    if (!isPosition(at) || at < chainStart(chain)) return `a repair at ${at}`
    if (!isPosition(entry) || entry <= at) return `the entry at ${entry} repairs ${at}`
    if (entries.has(entry)) return `the entry at ${entry} repairs twice`
    entries.add(entry)
  }
  return chain.repairs.length <= REPAIRS_MAX ? undefined : `${chain.repairs.length} repairs, at most ${REPAIRS_MAX}`
}

function isPosition(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

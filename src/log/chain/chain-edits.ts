// The edits of a chain, as pure functions: chain in, next chain or the reason against it out. Whether an edit is safe to make
// (sealed, copied, trimmed, fenced) is decided by reconfiguration.ts before.

import { assert } from '../../base/assert.ts'
import type { LogletConfig } from '../loglet.ts'
import { LOG_START, type LogPos } from '../position.ts'
import {
  activeSegment,
  brokenInvariant,
  type Chain,
  type ChainRepair,
  type ChainSegment,
  chainNames,
  chainStart,
  EDITS_KEPT,
  REPAIRS_MAX,
  repairsAt,
  VOIDED_MAX,
} from './chain.ts'

/** What an edit comes to: the next chain, or why it does not fit this one. */
export type Edited =
  | { readonly kind: 'edited'; readonly chain: Chain }
  | { readonly kind: 'rejected'; readonly reason: string }

/** The first chain: everything from `start` in one loglet. */
export function firstChain(config: LogletConfig, edit: string, start = LOG_START): Chain {
  const segments = [{ start, end: undefined, config }]
  return { version: 1, edits: [edit], segments, voided: [], repairs: [] }
}

/** Ends the open segment at `end` and opens `config` there. A segment that would be empty is replaced. */
export function extendChain(chain: Chain, end: LogPos, config: LogletConfig, edit: string): Edited {
  const active = activeSegment(chain)
  if (end < active.start) return rejected(`end ${end} lies before the open segment, which starts at ${active.start}`)
  if (chainNames(chain, config.nonce)) return rejected(`nonce ${config.nonce} is in the chain`)
  const before = chain.segments.slice(0, -1)
  const ended = end > active.start ? [{ ...active, end }] : []
  return next(chain, edit, { segments: [...before, ...ended, { start: end, end: undefined, config }] })
}

/** Drops the segments that lie wholly below `upTo`; never the open one. */
export function truncateChain(chain: Chain, upTo: LogPos, edit: string): Edited {
  const kept = chain.segments.filter(({ end }) => end === undefined || end > upTo)
  if (kept.length === chain.segments.length) return rejected(`no segment ends at or below ${upTo}`)
  const start = (kept[0] as ChainSegment).start
  return next(chain, edit, {
    segments: kept,
    voided: chain.voided.filter((pos) => pos >= start),
    repairs: chain.repairs.filter(({ at }) => at >= start),
  })
}

/** Replaces the loglet of the sealed segment that starts at `start` by one that serves the same entries. */
export function modifyChain(chain: Chain, start: LogPos, config: LogletConfig, edit: string): Edited {
  const old = chain.segments.find((segment) => segment.start === start)
  if (!old) return rejected(`no segment starts at ${start}`)
  if (old.end === undefined) return rejected(`the segment at ${start} is open`)
  if (chainNames(chain, config.nonce)) return rejected(`nonce ${config.nonce} is in the chain`)
  return next(chain, edit, {
    segments: chain.segments.map((segment) => (segment === old ? { ...old, config } : segment)),
  })
}

/**
 * Where a server stopped, and the repairs with which it did: every server does, so none has passed it. With others the chain has
 * gone on since, and who has met those may have passed it.
 */
export interface StoppedAt {
  readonly position: LogPos
  readonly repairs: readonly LogPos[]
}

/**
 * Adds a voided position. `stopped`: only if it still is as it was for a server that stopped there. `note`: where the entry lies
 * that says so, to be applied in front of it.
 */
export function voidInChain(chain: Chain, pos: LogPos, edit: string, stopped?: StoppedAt, note?: LogPos): Edited {
  if (stopped !== undefined && !isAsStopped(chain, stopped)) return rejected(wentOn(stopped))
  if (pos < chainStart(chain)) return rejected(`position ${pos} is trimmed, the log starts at ${chainStart(chain)}`)
  if (chain.voided.includes(pos)) return rejected(`position ${pos} is voided already`)
  if (chain.voided.length >= VOIDED_MAX) return rejected(`${VOIDED_MAX} positions are voided, no more fit`)
  const voided = [...chain.voided, pos].sort((a, b) => a - b)
  if (note === undefined) return next(chain, edit, { voided })
  const refusal = refusedRepair(chain, { at: pos, entry: note })
  return refusal ?? next(chain, edit, { voided, repairs: [...chain.repairs, { at: pos, entry: note }] })
}

/** Adds a repair of the position where a server stopped, behind those that it has, if they are still those that it stopped with. */
export function repairInChain(chain: Chain, stopped: StoppedAt, entry: LogPos, edit: string): Edited {
  if (!isAsStopped(chain, stopped)) return rejected(wentOn(stopped))
  const repair = { at: stopped.position, entry }
  return refusedRepair(chain, repair) ?? next(chain, edit, { repairs: [...chain.repairs, repair] })
}

function isAsStopped(chain: Chain, { position, repairs }: StoppedAt): boolean {
  const now = repairsAt(chain, position)
  return (
    !chain.voided.includes(position) && now.length === repairs.length && now.every((entry, i) => entry === repairs[i])
  )
}

function wentOn({ position }: StoppedAt): string {
  return `the chain has changed what becomes of position ${position} since the server stopped there: start it again first`
}

function refusedRepair(chain: Chain, { at, entry }: ChainRepair): Edited | undefined {
  if (at < chainStart(chain)) return rejected(`position ${at} is trimmed, the log starts at ${chainStart(chain)}`)
  if (entry <= at) return rejected(`the entry at ${entry} does not lie behind ${at}`)
  if (chain.repairs.some((known) => known.entry === entry)) return rejected(`the entry at ${entry} is a repair already`)
  if (chain.repairs.length >= REPAIRS_MAX) return rejected(`there are ${REPAIRS_MAX} repairs, no more fit`)
  return undefined
}

/** Changes nothing but the version, so that every write prepared on an older version fails. */
export function touchChain(chain: Chain, edit: string): Edited {
  return next(chain, edit, {})
}

function next(chain: Chain, edit: string, change: Partial<Pick<Chain, 'segments' | 'voided' | 'repairs'>>): Edited {
  const edits = [...chain.edits, edit].slice(-EDITS_KEPT)
  const edited = { ...chain, ...change, version: chain.version + 1, edits }
  const broken = brokenInvariant(edited)
  assert(broken === undefined, `an edit broke the chain: ${broken}`)
  return { kind: 'edited', chain: edited }
}

function rejected(reason: string): Edited {
  return { kind: 'rejected', reason }
}

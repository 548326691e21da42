// The bytes of a chain: JSON with a format number, so that an operator can read what the metastore holds. The format is 2 while
// there are repairs: a build that does not know them would apply other entries than the rest.

import { DelosError } from '../../base/delos-error.ts'
import type { LogletConfig } from '../loglet.ts'
import type { LogPos } from '../position.ts'
import { brokenInvariant, type Chain, type ChainRepair, type ChainSegment } from './chain.ts'

const FORMAT = 2
const WITHOUT_REPAIRS = 1

export function encodeChain(chain: Chain): Uint8Array {
  const segments = chain.segments.map(({ start, end, config }) => ({
    start,
    ...(end === undefined ? {} : { end }),
    config,
  }))
  const { version, edits, repairs, voided } = chain
  const stored =
    repairs.length === 0
      ? { format: WITHOUT_REPAIRS, version, edits, segments, voided }
      : { format: FORMAT, version, edits, segments, voided, repairs }
  return Buffer.from(JSON.stringify(stored))
}

/** Rejects with CORRUPT whatever is no sound chain, with FORMAT what a newer version wrote. */
export function decodeChain(bytes: Uint8Array): Chain {
  const stored = parse(bytes)
  const { format } = stored
  if (typeof format !== 'number') throw corrupt('it has no format number')
  if (format > FORMAT) throw new DelosError('FORMAT', `the chain has format ${format}, this version knows ${FORMAT}`)
  const chain: Chain = {
    version: number(stored.version, 'version'),
    edits: list(stored.edits, 'edits').map((edit) => text(edit, 'edit')),
    segments: list(stored.segments, 'segments').map(decodeSegment),
    voided: list(stored.voided, 'voided').map((pos) => number(pos, 'voided') as LogPos),
    repairs: format < FORMAT ? [] : list(stored.repairs, 'repairs').map(decodeRepair),
  }
  const broken = brokenInvariant(chain)
  if (broken !== undefined) throw corrupt(broken)
  return chain
}

function decodeRepair(stored: unknown): ChainRepair {
  const { at, entry } = object(stored, 'repair')
  return { at: number(at, 'at') as LogPos, entry: number(entry, 'entry') as LogPos }
}

function decodeSegment(stored: unknown): ChainSegment {
  const { start, end, config } = object(stored, 'segment')
  return {
    start: number(start, 'start') as LogPos,
    end: end === undefined ? undefined : (number(end, 'end') as LogPos),
    config: decodeConfig(object(config, 'config')),
  }
}

function decodeConfig(stored: Record<string, unknown>): LogletConfig {
  const params: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(object(stored.params, 'params'))) {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw corrupt(`params.${name}`)
    params[name] = value
  }
  return { kind: text(stored.kind, 'kind'), params, nonce: text(stored.nonce, 'nonce') }
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw DelosError.from(error, 'CORRUPT', 'the chain is no JSON')
  }
  return object(parsed, 'chain')
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corrupt(`${name} is no object`)
  return value as Record<string, unknown>
}

function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw corrupt(`${name} is no list`)
  return value
}

function number(value: unknown, name: string): number {
  if (typeof value !== 'number') throw corrupt(`${name} is no number`)
  return value
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw corrupt(`${name} is no text`)
  return value
}

function corrupt(what: string): DelosError {
  return new DelosError('CORRUPT', `the chain is damaged: ${what}`)
}

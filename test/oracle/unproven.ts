// Clients of servers that enforce authentication by digest: with that proof, with another one, with none. Each has a session of its own.

import type { SeededRandom } from '../support/seeded-random.ts'
import { OPEN } from './draws.ts'
import type { Request, Step } from './steps.ts'

const PROOFS: readonly (Request | undefined)[] = [
  undefined,
  { op: 'auth', scheme: 'digest', auth: 'amy:one' },
  { op: 'auth', scheme: 'ip', auth: '' },
  { op: 'sasl', token: '' },
]

const REQUESTS: readonly Request[] = [
  { op: 'ping' },
  { op: 'exists', path: '/', watch: true },
  { op: 'getChildren2', path: '/', watch: false },
  { op: 'create', path: '$', data: 'x', acl: OPEN, flags: 1 },
  { op: 'setData', path: '/zookeeper', data: 'x', version: 7 },
  { op: 'multi', ops: [{ op: 'check', path: '/', version: 0 }] },
  { op: 'setWatches', since: 'zero', data: ['/'], exist: [], child: [] },
  { op: 'whoAmI' },
  { op: 'sync', path: '/' },
  { op: 'closeSession' },
  // A number that is none.
  { op: 'check', path: '/', version: 0, opcode: 99 },
]

/** One session's steps. */
export function unprovenSteps(random: SeededRandom, slot: number): Step[] {
  const steps: Step[] = [{ do: 'open', slot, timeoutMs: 30_000, readOnly: false }]
  const proof = random.pick(PROOFS)
  if (proof !== undefined) steps.push({ do: 'ask', slot, requests: [proof] })
  steps.push({ do: 'ask', slot, requests: [random.pick(REQUESTS)] })
  return steps
}

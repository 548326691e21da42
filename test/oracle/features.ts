// What of the surface the oracle leaves out.

import type { OpName } from './steps.ts'

/** Operations that are not sent. */
export const WITHOUT: ReadonlySet<OpName> = new Set<OpName>(['sasl'])

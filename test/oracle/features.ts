// What of the surface the oracle leaves out.

import type { OpName } from './steps.ts'

/** Operations that are not sent: an exchange of SASL differs by its nonces, and is compared by tests of its own. */
export const WITHOUT: ReadonlySet<OpName> = new Set<OpName>(['sasl'])

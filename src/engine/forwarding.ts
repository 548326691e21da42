// Proposing at a server that may not hold the lease: whoever does is asked instead. Not here: how an entry travels between servers,
// which whoever has several of them says, and what a lease is (src/engines/lease).

import type { Entry } from './entry.ts'
import { LeaseHeld, type LeaseHolder } from './leased-reads.ts'

/**
 * Proposes an entry at another server: resolves with what apply returned there. Rejects as `propose` there does, a refusal with
 * LeaseHeld included, and INDETERMINATE if no answer came.
 */
export type Forward<R> = (holder: LeaseHolder, entry: Entry) => Promise<R>

/** A lease that moves on each time somebody gets there: then the last holder's refusal is the answer. */
const HOPS_MAX = 3

/**
 * Proposes here and, as long as somebody else is said to hold the lease, there. Nothing is applied twice: LeaseHeld says that
 * nothing was changed, and every other rejection ends it. Rejects with LeaseHeld if the holder has told no address.
 */
export async function proposeForwarding<R>(
  here: { propose(entry: Entry): Promise<R> },
  entry: Entry,
  forward: Forward<R>,
): Promise<R> {
  let refused = await proposed(() => here.propose(entry))
  for (let hops = 0; refused instanceof LeaseHeld; hops++) {
    const { holder } = refused
    if (hops === HOPS_MAX || holder.address === '') throw refused
    refused = await proposed(() => forward(holder, entry))
  }
  return refused.result
}

async function proposed<R>(propose: () => Promise<R>): Promise<{ readonly result: R } | LeaseHeld> {
  try {
    return { result: await propose() }
  } catch (error) {
    if (error instanceof LeaseHeld) return error
    throw error
  }
}

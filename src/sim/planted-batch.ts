// The planted bug `batch-shares-result`: a Batching that hands the last result of a batch to everybody who is in it.

import type { Completion, Engine } from '../engine/engine.ts'
import type { Entry } from '../engine/entry.ts'
import type { EngineFactory } from '../engine/stack.ts'

/** Wraps the factory of Batching: results are changed on their way up to it. */
export function batchSharesResult(inner: EngineFactory): EngineFactory {
  return { ...inner, create: (context) => inner.create({ ...context, below: sharing(context.below) }) }
}

function sharing(below: Engine<unknown>): Engine<unknown> {
  return {
    propose: (entry: Entry, completion: Completion<unknown>) =>
      below.propose(entry, {
        resolve: (result) => {
          if (isBatch(result)) result.results.fill(result.results.at(-1))
          completion.resolve(result)
        },
        reject: (error) => completion.reject(error),
      }),
    sync: () => below.sync(),
    registerUpcall: (applicator) => below.registerUpcall(applicator),
    setTrimPrefix: (pos) => below.setTrimPrefix(pos),
  }
}

function isBatch(result: unknown): result is { readonly results: unknown[] } {
  return typeof result === 'object' && result !== null && 'results' in result && Array.isArray(result.results)
}

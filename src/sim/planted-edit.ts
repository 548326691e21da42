// The planted bug `edit-kept-from-memory`: a BrainDoctor that writes rows and tells nobody, so that a database goes on with what it
// had read before, until its next start.

import type { EngineFactory } from '../engine/stack.ts'

/** In place of `brainDoctorEngine()`. */
export function keepsMemory(factory: EngineFactory): EngineFactory {
  return { ...factory, create: (context) => factory.create({ ...context, contentEdited: undefined }) }
}

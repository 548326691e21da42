// Runs the conformance suite of engines; see src/sim/engine-server.ts, which is public.

export { openEngineServer } from '../../src/sim/engine-server.ts'

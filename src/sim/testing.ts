// The public entry `delos/testing`: the simulated world, for tests of engines and databases built on this package.

export { type DiskUnderTest, diskConformance } from '../runtime/disk.conformance.ts'
export { type NetworkUnderTest, networkConformance } from '../runtime/network.conformance.ts'
export { Counters } from './counters.ts'
export { CALM, type FaultOptions, type Faults, faultsWith, STORMY } from './faults.ts'
export { SeededRandom } from './seeded-random.ts'
export type { SimRuntime, SimServer } from './sim-server.ts'
export { type Simulation, type SimulationOptions, simulate } from './simulation.ts'
export { SimulationStuck } from './time/driver.ts'
export type { Trace } from './trace.ts'

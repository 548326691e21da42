// The public entry `delos/testing`: the simulated world, the in-memory implementations and the conformance suites, for tests of
// loglets, stores, engines and databases built on this package. Needs no test framework: suites are handed one.

export type { Matchers, TestFramework, TestFrameworkWithHooks } from '../base/test-framework.ts'
export { type BlobsUnderTest, blobStoreConformance } from '../blobs/blob-store.conformance.ts'
export { MemoryBlobStore } from '../blobs/memory-blob-store.ts'
export {
  type EngineConformanceOptions,
  type EngineServer,
  engineConformance,
  type ProbeResult,
} from '../engine/engine.conformance.ts'
export { type LogletUnderTest, type LogletWorld, logletConformance } from '../log/loglet.conformance.ts'
export { type MetaStoreUnderTest, type MetaStoreWorld, metastoreConformance } from '../log/metastore.conformance.ts'
export { HostileLogletProvider, type HostileOptions } from '../loglets/memory/hostile-loglet-provider.ts'
export { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
export { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
export { type DiskUnderTest, diskConformance } from '../runtime/disk.conformance.ts'
export { type NetworkUnderTest, networkConformance } from '../runtime/network.conformance.ts'
export { localStoreConformance, ManualTime } from '../store/local-store.conformance.ts'
export { type Choices, runStoreProgram, type StoreHarness } from '../store/local-store.program.ts'
export { Counters } from './counters.ts'
export { openEngineServer } from './engine-server.ts'
export { CALM, type FaultOptions, type Faults, faultsWith, STORMY } from './faults.ts'
export { SeededRandom } from './seeded-random.ts'
export type { SimRuntime, SimServer } from './sim-server.ts'
export { type Simulation, type SimulationOptions, simulate } from './simulation.ts'
export { SimulationStuck } from './time/driver.ts'
export type { Trace } from './trace.ts'

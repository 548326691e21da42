import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NodeRandom } from '../runtime/node-random.ts'
import { nodeTimers } from '../runtime/node-timers.ts'
import { localStoreConformance } from './local-store.conformance.ts'
import { runStoreProgram, type StoreHarness } from './local-store.program.ts'
import { ManualTime } from './manual-time.ts'
import { MemoryBackend, type MemoryStore, openMemoryStore } from './memory-store.ts'
import type { StoreBackend } from './store-backend.ts'

function memoryHarness(wrap: (backend: StoreBackend) => StoreBackend = (backend) => backend): Promise<StoreHarness> {
  const time = new ManualTime(nodeTimers.soon)
  const runtime = { clock: time, timers: time, random: new NodeRandom() }
  const backend = new MemoryBackend(runtime)
  return Promise.resolve({
    open: async (options) => openMemoryStore({ ...options, runtime, backend, wrap }),
    advance: (ms) => time.advance(ms),
    turn: () => new Promise((resolve) => nodeTimers.soon(() => resolve())),
    crash: (store) => (store as MemoryStore).crash(),
    dispose: () => Promise.resolve(),
  })
}

localStoreConformance('the memory store', { describe, it, expect }, () => memoryHarness())

describe('the memory store', () => {
  it('answers programs as a sorted map does, the shortest that fails being reported', async () => {
    const program = fc.array(fc.nat(9999), { maxLength: 300 })
    const property = fc.asyncProperty(program, async (numbers) => {
      let at = 0
      const choices = (below: number): number | undefined => {
        const number = numbers[at++]
        return number === undefined ? undefined : number % below
      }
      await runStoreProgram(await memoryHarness(), choices)
    })
    await fc.assert(property, { numRuns: 200 })
  })
})

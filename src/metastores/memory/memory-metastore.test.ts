import { describe, expect, it } from 'vitest'
import { metastoreConformance } from '../../log/metastore.conformance.ts'
import { simulate } from '../../sim/simulation.ts'
import { MemoryMetaStore, MemoryRegister } from './memory-metastore.ts'

const framework = { describe, it, expect }

metastoreConformance('memory', framework, async (body) => {
  const register = new MemoryRegister()
  await body({
    store: new MemoryMetaStore(register),
    open: async () => new MemoryMetaStore(register),
    unreliable: false,
  })
})

for (const seed of [1, 2, 3]) {
  metastoreConformance(`memory, hostile, seed ${seed},`, framework, (body) =>
    simulate({ seed }, async ({ random, timers }) => {
      const register = new MemoryRegister()
      const open = async () => new MemoryMetaStore(register, { random, timers, delayMsMax: 10, indeterminateRate: 0.2 })
      await body({ store: await open(), open, unreliable: true })
    }),
  )
}

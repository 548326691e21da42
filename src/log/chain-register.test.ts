import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { MemoryMetaStore, MemoryRegister } from '../metastores/memory/memory-metastore.ts'
import { simulate } from '../sim/simulation.ts'
import { firstChain } from './chain/chain-edits.ts'
import { ChainRegister } from './chain-register.ts'
import type { MetaStore } from './metastore.ts'
import { rejection } from './suite-tools.ts'

const CHAIN = firstChain({ kind: 'memory', params: {}, nonce: 'one' }, 'edit')

/** A metastore that writes, loses the answer, and fails for good. */
function failingAfterWrite(register: MemoryRegister): MetaStore {
  const inner = new MemoryMetaStore(register)
  return {
    read: () => Promise.reject(new DelosError('IO_ERROR', 'the disk failed')),
    write: async (value, expected) => {
      await inner.write(value, expected)
      throw new DelosError('INDETERMINATE', 'the answer is lost')
    },
    close: () => inner.close(),
  }
}

describe('ChainRegister', () => {
  it('says INDETERMINATE when the answer to a write is lost and the metastore fails before it can be asked again', async () => {
    await simulate({ seed: 1 }, async ({ clock, random, timers }) => {
      const register = new MemoryRegister()
      const chain = new ChainRegister({
        metastore: failingAfterWrite(register),
        clock,
        timers,
        random,
        limitMs: 1_000,
        onIndeterminate: () => undefined,
      })
      expect(await rejection(chain.compareAndSet(undefined, CHAIN))).toBe('INDETERMINATE')
      expect(register.read().version).toBe(1)
    })
  })
})

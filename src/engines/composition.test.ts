import { describe, expect, it } from 'vitest'
import { LogOverLoglet } from '../../test/support/log-over-loglet.ts'
import { Stack } from '../engine/stack.ts'
import { MemoryLogletProvider } from '../loglets/memory/memory-loglet-provider.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { openMemoryStore } from '../store/memory-store.ts'
import { BaseEngine } from './base-engine/base-engine.ts'
import { batchingEngine } from './batching-engine.ts'
import { ObserverSet } from './observer-engine.ts'

describe('a stack of Base and Batching', () => {
  it('applies proposals in order', async () => {
    const runtime = nodeRuntime()
    const loglet = await new MemoryLogletProvider().create({ kind: 'memory', params: {}, nonce: 'a' })
    const store = openMemoryStore({ runtime })
    const log = new LogOverLoglet(loglet)
    const observers = new ObserverSet({ clock: runtime.clock })
    const stack = new Stack<number>({
      ...runtime,
      serverId: 's1',
      database: 'sum',
      bottom: new BaseEngine({ ...runtime, serverId: 's1', log, store }),
      engines: [batchingEngine()],
      wrapJoint: observers.wrapJoint,
      jointNames: ['observer'],
      checked: true,
    })
    let sum = 0
    const seen: number[] = []
    stack.attach({
      apply: (_tx, entry) => (entry.payload as Uint8Array)[0] as number,
      postApply: (_entry, _pos, result) => {
        seen.push(result)
        sum += result
      },
    })
    await stack.start()
    await stack.whenServing()
    await stack.enableAll()
    const results = await Promise.all([1, 2, 3, 4, 5].map((n) => stack.propose(new Uint8Array([n]))))
    expect(results).toEqual([1, 2, 3, 4, 5])
    expect(seen).toEqual([1, 2, 3, 4, 5])
    expect(sum).toBe(15)
    await stack.sync()
    expect(stack.status()).toMatchObject({ state: 'serving', cursor: 2, appliedEntries: 2 })
    await stack.stop()
    await store.close()
  })
})

import { describe, expect, it } from 'vitest'
import type { Completion } from '../engine/engine.ts'
import { ManualTime } from '../store/manual-time.ts'
import { Chores } from './chores.ts'
import type { Update, UpdateResult } from './requests.ts'

const CHORE: Update = { kind: 'countQuota', quota: '/zookeeper/quota/a' }

function start(next: () => Update | undefined) {
  const timers = new ManualTime(queueMicrotask)
  const proposed: Completion<UpdateResult>[] = []
  const chores = new Chores({ timers, next, propose: (_update, completion) => void proposed.push(completion) })
  chores.start()
  const done = () => proposed.at(-1)?.resolve({ zxid: 1, err: 0 })
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 5) timers.advance(5)
  }
  return { chores, proposed, done, pass }
}

describe('chores', () => {
  it('are looked for once a second, and soon again when one was done', () => {
    let left = 0
    const { proposed, done, pass } = start(() => (left-- > 0 ? CHORE : undefined))
    left = 2
    pass(990)
    expect(proposed).toHaveLength(0)
    pass(10)
    expect(proposed).toHaveLength(1)
    pass(5000)
    expect(proposed).toHaveLength(1)
    done()
    pass(5)
    expect(proposed).toHaveLength(2)
  })

  it('that the store does not show for an error are looked for again, and nothing is thrown', () => {
    let broken = true
    const { proposed, pass } = start(() => {
      if (broken) throw new Error('the disk can not be read')
      return CHORE
    })
    pass(3000)
    broken = false
    pass(1000)
    expect(proposed).toHaveLength(1)
  })

  it('are done one at a time also after they were stopped and started again while one was under way', () => {
    let looks = 0
    let chore: Update | undefined = CHORE
    const { chores, proposed, pass } = start(() => {
      looks++
      const found = chore
      chore = undefined
      return found
    })
    chores.stop()
    chores.start()
    proposed[0]?.resolve({ zxid: 1, err: 0 })
    looks = 0
    pass(10_000)
    expect(looks).toBe(10)
    chores.stop()
    pass(10_000)
    expect(looks).toBe(10)
  })
})

// Who goes on when, if more is asked for than one turn of the event loop answers.

import { expect, it } from 'vitest'
import { AnswerTurns, type TurnTaker } from './answer-turns.ts'

class Loop {
  nowMs = 0
  readonly done: string[] = []
  readonly turns = new AnswerTurns(
    (action) => this.actions.push(action),
    () => this.nowMs,
  )
  private actions: (() => void)[] = []

  /** Takes so long for each answer, and has so many left. */
  taker(name: string, answerMs: number, answers: number): TurnTaker {
    let left = answers
    const taker: TurnTaker = {
      goOn: () => {
        const startedMs = this.nowMs
        const { shareMs } = this.turns
        do {
          this.nowMs += answerMs
          this.done.push(name)
          left--
        } while (left > 0 && this.nowMs - startedMs <= shareMs)
        if (left > 0) this.turns.wait(taker)
      },
    }
    return taker
  }

  /** False if nothing was to do. */
  turn(): boolean {
    const actions = this.actions.splice(0)
    for (const action of actions) action()
    return actions.length > 0
  }
}

it('ten milliseconds are shared by all who wait, each in its turn, and who asks for little is soon done', () => {
  const loop = new Loop()
  for (const name of ['a', 'b', 'c']) loop.turns.wait(loop.taker(name, 3, 4))
  loop.turns.wait(loop.taker('light', 0.1, 20))
  const perTurn: string[] = []
  while (loop.turn()) {
    perTurn.push(loop.done.splice(0).join(' '))
    expect(perTurn.length).toBeLessThan(20)
  }
  const light = perTurn.findIndex((one) => one.includes('light'))
  expect(light).toBeLessThanOrEqual(1)
  expect(perTurn[light]?.match(/light/g)).toHaveLength(20)
  for (const name of ['a', 'b', 'c'])
    expect(
      perTurn
        .join(' ')
        .split(' ')
        .filter((one) => one === name),
    ).toHaveLength(4)
})

it('what was spent counts for the turn that it was spent in', () => {
  const loop = new Loop()
  loop.turns.spent(0.1)
  expect(loop.turn()).toBe(false)
  loop.turns.spent(6)
  loop.turns.spent(6)
  expect([loop.turns.isOver, loop.turn(), loop.turns.isOver, loop.turn()]).toEqual([true, true, false, false])
})

it('a connection waits once, however often it asks', () => {
  const loop = new Loop()
  const taker = loop.taker('a', 1, 1)
  loop.turns.wait(taker)
  loop.turns.wait(taker)
  expect(loop.turns.shareMs).toBe(5)
  while (loop.turn());
  expect([loop.done, loop.turns.shareMs]).toEqual([['a'], 10])
})

it("what one of them throws ends nobody else's turn", () => {
  const loop = new Loop()
  loop.turns.wait({
    goOn: () => {
      throw new Error('a bug')
    },
  })
  loop.turns.wait(loop.taker('a', 1, 1))
  expect(() => loop.turn()).toThrow('a bug')
  while (loop.turn());
  expect([loop.done, loop.turns.isOver]).toEqual([['a'], false])
})

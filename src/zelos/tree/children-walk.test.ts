// Very many children, listed a slice a turn of the event loop.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OPEN, TestClient, ZelosHarness } from '../../../test/support/zelos-harness.ts'
import type { DelosError } from '../../base/delos-error.ts'
import type { LocalStore, ReadTx } from '../../store/local-store.ts'
import { ManualTime } from '../../store/manual-time.ts'
import { openMemoryStore } from '../../store/memory-store.ts'
import type { UpdateOperation } from '../requests.ts'
import type { ChildrenResult, WalkCompletion } from '../zelos.ts'
import { ZCODE, type ZCode } from '../znode.ts'
import { ChildrenWalk } from './children-walk.ts'
import { nodeKey } from './key-space.ts'
import type { TreeChange } from './tree-updates.ts'

const CHILDREN = 6_000
const MANY_BYTES = 1 << 30

/** A clock that goes on 1 ms whenever it is read: a slice ends after a few looks at it. */
class TickingTime extends ManualTime {
  override monotonicMs(): number {
    this.advance(1)
    return super.monotonicMs()
  }
}

class Answer implements WalkCompletion<ChildrenResult | ZCode> {
  isWanted = true
  result: ChildrenResult | ZCode | undefined
  error: DelosError | undefined

  resolve(result: ChildrenResult | ZCode): void {
    this.result = result
  }

  reject(error: DelosError): void {
    this.error = error
  }

  get isSettled(): boolean {
    return this.result !== undefined || this.error !== undefined
  }
}

function openStore(): LocalStore {
  const time = new ManualTime(queueMicrotask)
  const random = { uint32: () => 7, bytes: (length: number) => new Uint8Array(length) }
  return openMemoryStore({ runtime: { clock: time, timers: time, random } })
}

function start() {
  const turns: (() => void)[] = []
  const time = new TickingTime((callback) => turns.push(callback))
  const harness = new ZelosHarness(openStore(), { time })
  const { zelos } = harness
  const [alice, bob] = [new TestClient(zelos), new TestClient(zelos)]
  alice.open()
  bob.open()
  bob.create('/p')
  const operations = Array.from({ length: CHILDREN }, (_, at): UpdateOperation => {
    return { op: 'create', path: `/p/n${at}`, data: null, acl: OPEN, flags: 0 }
  })
  bob.multi(...operations.slice(CHILDREN / 2))
  bob.multi(...operations.slice(0, CHILDREN / 2))
  const turn = (): void => {
    for (const callback of turns.splice(0)) callback()
  }
  const list = (maxBytes = MANY_BYTES, watched = false): Answer => {
    const answer = new Answer()
    zelos.walks.getChildren(alice.requester, '/p', watched ? alice : undefined, maxBytes, answer)
    return answer
  }
  const now = () => zelos.getChildren(alice.requester, '/p', undefined, MANY_BYTES) as ChildrenResult
  return { harness, zelos, alice, bob, turn, list, now }
}

describe('a list of very many children', () => {
  it('takes several turns, and is asked for where there are many', () => {
    const { zelos, turn, list, now } = start()
    expect([zelos.walks.isLong('/p'), zelos.walks.isLong('/'), zelos.walks.isLong('/none')]).toEqual([
      true,
      false,
      false,
    ])
    const answer = list()
    let turns = 0
    for (; !answer.isSettled; turns++) turn()
    expect(turns).toBeGreaterThan(5)
    expect(answer.result).toEqual(now())
  })

  it('is that of one moment, the end, whatever comes and goes meanwhile', () => {
    const { bob, turn, list, now } = start()
    let drawn = 1
    const draw = (bound: number): number => {
      drawn = (drawn * 48_271) % 0x7fff_ffff
      return drawn % bound
    }
    for (let round = 0; round < 5; round++) {
      const answer = list()
      while (!answer.isSettled) {
        for (let changes = draw(60); changes > 0; changes--) {
          const path = `/p/${draw(3) === 0 ? 'a' : 'n'}${draw(CHILDREN)}`
          if (draw(2) === 0) bob.create(path)
          else bob.delete(path)
        }
        bob.create(`/p/z${drawn}`)
        bob.setData('/p/n7', Buffer.of(1))
        turn()
      }
      const { children, node } = now()
      const found = answer.result as ChildrenResult
      expect(found.children).toEqual(children)
      expect(found.node).toEqual(node)
      expect(node.numChildren).toBe(children.length)
    }
  })

  it('asks the store for each child once, whatever comes and goes where it has been', () => {
    const { harness, bob, now } = start()
    const walk = new ChildrenWalk('/p', MANY_BYTES)
    let rows = 0
    const step = (): boolean => {
      const reader = harness.store.read()
      const scan: ReadTx['scan'] = (range, options) => {
        const found = [...reader.scan(range, options)]
        rows += found.length
        return found
      }
      return walk.step({ ...reader, scan } as ReadTx, 250)
    }
    const change = (op: 'create' | 'delete', names: readonly string[]): void => {
      const operations = names.map((name): UpdateOperation => {
        const path = `/p/${name}`
        return op === 'delete' ? { op, path, version: -1 } : { op, path, data: null, acl: OPEN, flags: 0 }
      })
      bob.multi(...operations)
      const type = op === 'delete' ? 'deleted' : 'created'
      for (const name of names) walk.changed({ type, path: `/p/${name}`, acl: OPEN, parentAcl: OPEN })
    }
    for (let at = 0; at < 3; at++) step()
    expect(rows).toBe(750)
    const many = Array.from({ length: 4_000 }, (_, at) => `n0-${at}-ü`)
    change('create', many)
    change('delete', many.slice(1_000, 3_000))
    // Where it has not been yet.
    change('create', ['z', 'zü'])
    change('delete', ['n999', 'z'])
    while (!step());
    expect(rows).toBe(CHILDREN)
    expect(walk.names()).toEqual(now().children)
  })

  it('has each child once that was there all the time, however many come and go at once', () => {
    const name = fc.integer({ min: 0, max: 60 }).map((at) => (at % 5 === 0 ? `\u{1f600}${at}` : `é${at}`))
    const turn = fc.array(fc.uniqueArray(name, { maxLength: 8 }), { maxLength: 3 })
    fc.assert(
      fc.property(fc.uniqueArray(name), fc.array(turn), fc.integer({ min: 1, max: 9 }), (first, turns, rows) => {
        const store = openStore()
        const there = new Set<string>()
        const toggle = (names: readonly string[]): TreeChange[] => {
          const tx = store.begin()
          const changes = names.map((one): TreeChange => {
            const path = `/p/${one}`
            const type = there.delete(one) ? 'deleted' : 'created'
            if (type === 'deleted') tx.delete(nodeKey(path))
            else {
              there.add(one)
              tx.put(nodeKey(path), Buffer.of(1))
            }
            return { type, path, acl: OPEN, parentAcl: OPEN }
          })
          tx.commit()
          return changes
        }
        toggle(first)
        const walk = new ChildrenWalk('/p', MANY_BYTES)
        let isDone = false
        const step = (): void => {
          isDone ||= walk.step(store.read(), rows)
        }
        for (const [at, transactions] of turns.entries()) {
          if (isDone) break
          const changes = toggle(transactions.flat())
          // It may begin after a commit, and before that is told.
          if (at === 0) step()
          if (!isDone) for (const one of changes) walk.changed(one)
          step()
        }
        while (!isDone) step()
        const bytes = [...there].map((one) => Buffer.from(one)).sort(Buffer.compare)
        expect(walk.names()).toEqual(bytes.map(String))
      }),
    )
  })

  it('comes with a watch of that moment: what follows it is told', () => {
    const { alice, bob, turn, list } = start()
    const answer = list(MANY_BYTES, true)
    bob.create('/p/early')
    while (!answer.isSettled) turn()
    expect(alice.takeEvents()).toEqual([])
    bob.create('/p/late')
    expect(alice.takeEvents()).toEqual(['childrenChanged /p'])
  })

  it('of more bytes than are asked for is refused early; of a node that goes meanwhile it is answered so', () => {
    const { bob, turn, list } = start()
    const large = list(10_000)
    for (let turns = 0; !large.isSettled; turns++) {
      expect(turns).toBeLessThan(5)
      turn()
    }
    expect(large.error?.code).toBe('LIMIT_EXCEEDED')
    const gone = list()
    turn()
    for (let at = 0; at < CHILDREN; at++) bob.delete(`/p/n${at}`)
    bob.delete('/p')
    while (!gone.isSettled) turn()
    expect(gone.result).toBe(ZCODE.NO_NODE)
    const never = list()
    expect(never.result).toBe(ZCODE.NO_NODE)
  })
})

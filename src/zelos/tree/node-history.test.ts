import { describe, expect, it } from 'vitest'
import type { ZNode } from '../znode.ts'
import { NodeHistory } from './node-history.ts'

const node = (version: number): ZNode => ({ version }) as ZNode

describe('the history of a transaction', () => {
  it('knows each node as of each of its updates, and nothing of what did not change', () => {
    const history = new NodeHistory()
    history.note(5, '/a', null)
    history.note(6, '/a', node(0))
    history.note(6, '/', node(7))
    history.note(8, '/a', node(1))
    expect([4, 5, 6, 7, 8, 9].map((zxid) => history.asOf(zxid, '/a'))).toEqual([
      null,
      node(0),
      node(1),
      node(1),
      undefined,
      undefined,
    ])
    expect([history.asOf(5, '/'), history.asOf(6, '/'), history.asOf(4, '/b')]).toEqual([node(7), undefined, undefined])
    history.clear()
    expect(history.asOf(4, '/a')).toBeUndefined()
    history.note(9, '/b', null)
    expect([history.asOf(8, '/a'), history.asOf(8, '/b')]).toEqual([undefined, null])
  })

  it('knows which children came and went behind an update', () => {
    const history = new NodeHistory()
    history.note(2, '/p/x', null)
    history.note(3, '/p/gone', node(0))
    history.note(3, '/p', node(0))
    history.note(4, '/p/x', node(0))
    history.note(4, '/p/x/deep', null)
    history.note(5, '/q', null)
    expect([...history.childrenAsOf(1, '/p')]).toEqual([
      ['x', false],
      ['gone', true],
    ])
    expect([...history.childrenAsOf(3, '/p')]).toEqual([['x', true]])
    expect([...history.childrenAsOf(4, '/p')]).toEqual([])
    expect([...history.childrenAsOf(1, '/')]).toEqual([
      ['p', true],
      ['q', false],
    ])
  })
})

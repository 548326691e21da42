import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import type { LogPos } from '../../log/position.ts'
import { decodeViewMessage, encodeViewMessage, isReportHeader, type ViewMessage } from './view-message.ts'

const ranges = new Map([
  ['view-tracking', '000102030405060708090a0b0c0d0e0f'],
  ['zelos', 'f0e0d0c0b0a090807060504030201000'],
])

/** One header of each kind, by the name of its golden file. */
const GOLDEN: Record<string, ViewMessage> = {
  'view-report': { kind: 'report', serverId: '3f9a2c', durable: 1000 as LogPos, digest: undefined },
  'view-heartbeat': {
    kind: 'heartbeat',
    serverId: '3f9a2c',
    durable: 1000 as LogPos,
    digest: { position: 990 as LogPos, ranges },
  },
  'view-join': {
    kind: 'join',
    serverId: '3f9a2c',
    durable: 1000 as LogPos,
    levels: new Map([
      ['base', 0],
      ['view-tracking', 300],
    ]),
  },
  'view-leave': { kind: 'leave', serverId: '3f9a2c' },
  'view-evict': { kind: 'evict', serverId: '3f9a2c', lastHeard: 990 as LogPos },
}

describe("ViewTracking's header", () => {
  for (const [name, message] of Object.entries(GOLDEN)) {
    it(`is written as the stored format has ${name}, for ever`, () => {
      expect(Buffer.from(encodeViewMessage(message)).toString('hex')).toBe(readGolden(`entries/${name}.hex`))
    })

    it(`is read from the stored format of ${name}`, () => {
      const bytes = Buffer.from(readGolden(`entries/${name}.hex`), 'hex')
      expect(decodeViewMessage(bytes)).toEqual(message)
      expect(isReportHeader(bytes)).toBe(message.kind === 'report')
    })
  }

  it('has the same bytes whatever the order of ranges and levels', () => {
    const backwards = { position: 990 as LogPos, ranges: new Map([...ranges].reverse()) }
    const heartbeat = { kind: 'heartbeat', serverId: '3f9a2c', durable: 1000 as LogPos, digest: backwards } as const
    expect(encodeViewMessage(heartbeat)).toEqual(encodeViewMessage(GOLDEN['view-heartbeat'] as ViewMessage))
  })

  it('of a newer kind or format is refused', () => {
    for (const bytes of [
      [21, 1, 0],
      [16, 2, 0],
    ]) {
      expect(() => decodeViewMessage(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    }
  })

  it('that is cut or followed by something is refused', () => {
    const bytes = Buffer.from(encodeViewMessage(GOLDEN['view-heartbeat'] as ViewMessage))
    for (let end = 1; end < bytes.length; end++) {
      expect(() => decodeViewMessage(bytes.subarray(0, end))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
    expect(() => decodeViewMessage(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow('1 bytes follow')
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFlags, createMode } from './create-mode.ts'
import { ERR, errName } from './error-codes.ts'
import { JuteReader } from './jute-reader.ts'
import { JuteWriter } from './jute-writer.ts'
import { OP, opName } from './opcodes.ts'
import { FOREIGN_SESSION, readSessionId, sessionHex, wireSessionId, writeSessionId } from './session-id.ts'

describe('codes', () => {
  it('have one name each, and unknown for what is not among them', () => {
    for (const [name, code] of Object.entries(OP)) expect(opName(code)).toBe(name)
    for (const [name, code] of Object.entries(ERR)) expect(errName(code)).toBe(name)
    expect(opName(10)).toBe('unknown')
    expect(errName(-9)).toBe('unknown')
  })

  it('for create modes are seven numbers, not bits', () => {
    for (let flags = 0; flags < 7; flags++) {
      const mode = createMode(flags)
      expect(mode?.flags).toBe(flags)
      expect(mode && createFlags(mode)).toBe(flags)
    }
    expect(createMode(7)).toBeUndefined()
    expect(createMode(-1)).toBeUndefined()
    expect(createMode(4)).toMatchObject({ container: true, sequential: false })
    expect(createMode(6)).toMatchObject({ ttl: true, sequential: true, ephemeral: false })
    expect(createFlags({ ephemeral: true, ttl: true })).toBeUndefined()
    expect(createFlags({ ephemeral: true, sequential: true })).toBe(3)
  })
})

describe('session ids', () => {
  const onWire = (id: bigint): number => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(BigInt.asIntN(64, id))
    return readSessionId(new JuteReader().reset(bytes, 0, 8))
  }

  it('come back from the wire unchanged, 0 included, and look like ids of ZooKeeper', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (id) => {
        const to = new JuteWriter()
        writeSessionId(to, id)
        const bytes = to.take()
        expect(readSessionId(new JuteReader().reset(bytes, 0, 8))).toBe(id)
        expect(bytes.readBigInt64BE(0)).toBe(wireSessionId(id))
      }),
    )
    expect(sessionHex(1)).toBe('0x100000000000001')
    expect(sessionHex(0)).toBe('0x0')
  })

  it('of other servers are never taken for ours', () => {
    const known = new Set<number>()
    fc.assert(
      fc.property(fc.bigInt(-(1n << 63n), (1n << 63n) - 1n), (id) => {
        const ours = onWire(id)
        known.add(ours)
        if (ours > 0) expect(wireSessionId(ours)).toBe(id)
        else expect(ours).toBe(id === 0n ? 0 : FOREIGN_SESSION)
      }),
    )
    expect(known.has(FOREIGN_SESSION)).toBe(true)
    for (const id of [1n, 1n << 56n, (1n << 56n) + (1n << 53n), 2n << 56n, -1n])
      expect(onWire(id)).toBe(FOREIGN_SESSION)
    expect(onWire((1n << 56n) + (1n << 53n) - 1n)).toBe(Number.MAX_SAFE_INTEGER)
  })
})

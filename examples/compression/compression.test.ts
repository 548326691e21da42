import { deflateRawSync } from 'node:zlib'
import { batchingEngine } from 'delos'
import { type Applicator, type Entry, entryOf, withHeader } from 'delos/engine'
import { type EngineServer, engineConformance, openEngineServer } from 'delos/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { compressionEngine } from './compression.ts'

engineConformance(
  'compression',
  { describe, it, expect },
  {
    // Also what gets longer, so that the suite's short payloads are compressed at all.
    factory: compressionEngine({ savedBytesMin: Number.NEGATIVE_INFINITY }),
    others: [batchingEngine({ batchCountMax: 5 })],
    open: openEngineServer,
  },
)

const echo: Applicator<string> = {
  apply: (_tx, entry) => Buffer.from(entry.payload as Uint8Array).toString(),
  postApply: () => undefined,
}
const text = 'all work and no play makes a dull boy '.repeat(100)

describe('the compression engine', () => {
  let server: EngineServer
  afterEach(() => server.close())

  async function serving(): Promise<EngineServer['stack']> {
    server = await openEngineServer([compressionEngine()], echo)
    await server.stack.whenServing()
    return server.stack
  }

  const bytes = () => server.stack.status().engines[0]?.details

  it('makes payloads smaller once it is enabled, and nobody above it notices', async () => {
    const stack = await serving()
    expect(await stack.propose(Buffer.from(text))).toBe(text)
    expect(bytes()).toEqual({ bytesBefore: 0, bytesAfter: 0 })
    await stack.change('compression', { kind: 'flag', enabled: true })
    expect(await stack.propose(Buffer.from(text))).toBe(text)
    expect(bytes()).toEqual({ bytesBefore: text.length, bytesAfter: expect.any(Number) })
    expect(bytes()?.bytesAfter).toBeLessThan(text.length / 10)
    expect(await stack.propose(Buffer.from('short'))).toBe('short')
    expect(bytes()?.bytesBefore).toBe(text.length)
  })

  it('writes with another codec at level 1, and reads both', async () => {
    const stack = await serving()
    await stack.change('compression', { kind: 'flag', enabled: true })
    await stack.propose(Buffer.from(text))
    await stack.change('compression', { kind: 'level', level: 1 })
    expect(await stack.propose(Buffer.from(text))).toBe(text)
    const results: string[] = []
    const replayed = await server.replay({ ...echo, postApply: (_entry, _pos, result) => results.push(result) })
    await replayed.stack.whenServing()
    await replayed.close()
    expect(results).toEqual([text, text])
  })

  const header = (length: number) => Buffer.from([16, 0, 0, 0, 0, length])
  const handMade = (payload: Buffer, length: number): Entry =>
    withHeader(entryOf(payload), 'compression', header(length), true)

  it('understands what is compressed also while it is disabled', async () => {
    const stack = await serving()
    expect(await stack.propose(handMade(deflateRawSync('hello'), 5))).toBe('hello')
  })

  it.each<[string, Entry, string]>([
    ['a damaged payload', handMade(Buffer.from('not deflated'), 5), 'CORRUPT'],
    ['a payload longer than its header says', handMade(deflateRawSync('hello'), 4), 'CORRUPT'],
    ['a payload shorter than its header says', handMade(deflateRawSync('hello'), 6), 'CORRUPT'],
    ['a codec of the future', withHeader(entryOf(Buffer.from('x')), 'compression', Buffer.from([16, 9])), 'FORMAT'],
  ])('stops the database at %s', async (_what, entry, code) => {
    const stack = await serving()
    await expect(stack.propose(entry)).rejects.toThrow()
    expect(await stack.failed).toMatchObject({ code, position: 0 })
  })
})

// What every loglet must do, as tests: the rules of loglet.ts, run against every implementation and against the virtual log
// over chains of them. What crashes do to one implementation is in its own tests, except that what was acknowledged survives.

import type { TestFramework } from '../base/test-framework.ts'
import type { Loglet, LogletConfig, LogletEntry, LogletProvider, LogletRecipe, LogletTail } from './loglet.ts'
import { checkHistory, LogletHistory } from './loglet-history.ts'
import { LOGLET_START, type LogletOffset } from './position.ts'
import { rejection, seededBelow } from './suite-tools.ts'

/** An implementation in a fresh world. */
export interface LogletUnderTest {
  readonly provider: LogletProvider
  readonly params: LogletRecipe['params']
  /** Several handles may be open on one loglet, as from several servers. */
  readonly shared: boolean
  /** It may answer `indeterminate` and store an entry twice. */
  readonly unreliable: boolean
  /** Loses power, starts again: a provider over what is durable. Absent if nothing outlives the provider. */
  readonly crash?: () => Promise<LogletProvider>
}

/** Makes a fresh world, runs `body` in it, and ends it. */
export type LogletWorld = (body: (under: LogletUnderTest) => Promise<void>) => Promise<void>

const END = Number.MAX_SAFE_INTEGER as LogletOffset
const SUCCESSOR: LogletRecipe = { kind: 'memory', params: { origin: 'suite' } }

/** Registers the suite. */
export function logletConformance(name: string, framework: TestFramework, world: LogletWorld): void {
  const { describe, it, expect } = framework
  let nonces = 0
  const newConfig = ({ provider, params }: LogletUnderTest): LogletConfig => ({
    kind: provider.kind,
    params,
    nonce: `suite${nonces++}`,
  })
  const create = async (under: LogletUnderTest) => under.provider.create(newConfig(under))
  const rule = (sentence: string, body: (under: LogletUnderTest) => Promise<void>) => it(sentence, () => world(body))

  describe(`${name} keeps the contract of Loglet`, () => {
    describe('append and read', () => {
      rule('starts empty and open', async (under) => {
        const loglet = await create(under)
        expect(await loglet.checkTail()).toEqual({ tail: 0, sealed: false })
        expect(await loglet.readNext(LOGLET_START, END, 1000)).toEqual({ entries: [], next: 0 })
        expect(loglet.trimPoint).toBe(0)
      })

      rule('shows an acknowledged append to every later tail check and read, with its bytes', async (under) => {
        const loglet = await create(under)
        for (let i = 0; i < 20; i++) {
          const offset = await appendSure(loglet, text(`entry ${i}`))
          expect((await loglet.checkTail()).tail).toBeGreaterThan(offset)
          const read = await loglet.readNext(offset, (offset + 1) as LogletOffset, 1000)
          expect(read.entries.map(show)).toEqual([`${offset} entry ${i}`])
          expect(read.next).toBe(offset + 1)
        }
      })

      rule('gives later appends higher offsets', async (under) => {
        const loglet = await create(under)
        let last = -1
        for (let i = 0; i < 10; i++) {
          const offset = await appendSure(loglet, text(`${i}`))
          expect(offset).toBeGreaterThan(last)
          last = offset
        }
      })

      rule('keeps concurrent appends apart, each once at its own offset', async (under) => {
        const loglet = await create(under)
        const texts = Array.from({ length: 50 }, (_, i) => `entry ${i} ${'x'.repeat(i * 7)}`)
        const outcomes = await Promise.all(texts.map((entry) => loglet.append(text(entry))))
        const stored = new Map((await readAll(loglet)).map((entry) => [entry.offset as number, entry]))
        const offsets = new Set<number>()
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome.kind !== 'appended') continue
          offsets.add(outcome.offset)
          expect(show(stored.get(outcome.offset))).toBe(`${outcome.offset} ${texts[i]}`)
        }
        expect(offsets.size).toBe(outcomes.filter(({ kind }) => kind === 'appended').length)
        if (!under.unreliable) expect(offsets.size).toBe(texts.length)
      })

      rule('keeps what was appended apart from what is appended next, also empty entries', async (under) => {
        const loglet = await create(under)
        const sizes = [0, 1, 0, 7, 8, 9, 0, 100, 1000]
        const offsets: number[] = []
        for (const size of sizes) offsets.push(await appendSure(loglet, new Uint8Array(size).fill(size)))
        const stored = new Map((await readAll(loglet)).map((entry) => [entry.offset as number, entry.bytes]))
        for (const [i, offset] of offsets.entries()) {
          expect([...(stored.get(offset) ?? [])]).toEqual(new Array(sizes[i]).fill((sizes[i] ?? 0) % 256))
        }
      })

      rule('takes an entry of maxEntryBytes and refuses a larger one', async (under) => {
        const loglet = await create(under)
        const largest = new Uint8Array(loglet.maxEntryBytes).fill(3)
        const offset = await appendSure(loglet, largest)
        const { entries } = await loglet.readNext(offset, END, 1)
        expect(Buffer.compare(entries[0]?.bytes ?? new Uint8Array(0), largest)).toBe(0)
        const outcome = await loglet.append(new Uint8Array(loglet.maxEntryBytes + 1))
        if (outcome.kind !== 'indeterminate' || !under.unreliable) {
          expect(outcome.kind === 'refused' ? outcome.cause.code : outcome.kind).toBe('LIMIT_EXCEEDED')
        }
      })

      rule('reads at most about maxBytes, at least one entry, and nothing at or past `to`', async (under) => {
        const loglet = await create(under)
        for (let i = 0; i < 20; i++) await appendSure(loglet, text('0123456789'))
        const { tail } = await loglet.checkTail()
        for (const maxBytes of [0, 1, 10, 25, 1000]) {
          const read = await loglet.readNext(LOGLET_START, tail, maxBytes)
          const bytes = read.entries.reduce((sum, entry) => sum + entry.bytes.length, 0)
          expect(read.entries.length).toBeGreaterThan(0)
          expect(bytes).toBeLessThanOrEqual(Math.max(maxBytes, 10))
        }
        for (let to = 0; to <= tail; to++) {
          const read = await loglet.readNext(LOGLET_START, to as LogletOffset, 1000)
          expect(read.next).toBeLessThanOrEqual(to)
          for (const { offset } of read.entries) expect(offset).toBeLessThan(to)
        }
      })

      rule('leads a reader that follows `next` to the tail, past every entry once and in order', async (under) => {
        const loglet = await create(under)
        const appended: number[] = []
        for (let i = 0; i < 30; i++) appended.push(await appendSure(loglet, text(`${i}`)))
        await loglet.seal(SUCCESSOR)
        const { tail } = await loglet.checkTail()
        for (const maxBytes of [0, 3, 1000]) {
          const seen: number[] = []
          let at = LOGLET_START
          while (at < tail) {
            const read = await loglet.readNext(at, tail, maxBytes)
            expect(read.next).toBeGreaterThan(at)
            for (const { offset } of read.entries) {
              expect(offset).toBeGreaterThanOrEqual(at)
              expect(offset).toBeLessThan(read.next)
              seen.push(offset)
            }
            at = read.next
          }
          expect(at).toBe(tail)
          expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
          expect(appended.filter((offset) => !seen.includes(offset))).toEqual([])
        }
      })

      rule('starts a read anywhere', async (under) => {
        const loglet = await create(under)
        for (let i = 0; i < 25; i++) await appendSure(loglet, text(`${i}`))
        const all = await readAll(loglet)
        for (let from = 0; from <= (all[all.length - 1]?.offset ?? 0); from++) {
          const first = (await loglet.readNext(from as LogletOffset, END, 1)).entries[0]
          expect(show(first)).toBe(show(all.find(({ offset }) => offset >= from)))
        }
      })
    })

    describe('push', () => {
      rule(
        'tells listeners each visible tail before the append is answered, ascending, until they end',
        async (under) => {
          const loglet = await create(under)
          const told: number[] = []
          const end = loglet.onTailMoved((tail) => told.push(tail))
          for (let i = 0; i < 10; i++) {
            const offset = await appendSure(loglet, text(`${i}`))
            expect(told[told.length - 1]).toBeGreaterThan(offset)
          }
          expect(told).toEqual([...told].sort((a, b) => a - b))
          const count = told.length
          await loglet.seal(SUCCESSOR)
          expect(told.length).toBeGreaterThan(count)
          expect(told[told.length - 1]).toBe((await loglet.checkTail()).tail)
          end()
          const other = await create(under)
          other.onTailMoved((tail) => told.push(tail))()
          const countAtEnd = told.length
          await appendSure(other, text('unheard'))
          expect(told.length).toBe(countAtEnd)
        },
      )

      rule('lets a listener read what it is told of, at once', async (under) => {
        const loglet = await create(under)
        const reads: Promise<readonly LogletEntry[]>[] = []
        let from = LOGLET_START
        loglet.onTailMoved((tail) => {
          reads.push(loglet.readNext(from, tail, 1_000_000).then(({ entries }) => entries))
          from = tail
        })
        for (let i = 0; i < 10; i++) await appendSure(loglet, text(`${i}`))
        const heard = (await Promise.all(reads)).flat().map(show)
        expect(heard).toEqual((await readAll(loglet)).map(show))
      })
    })

    describe('seal', () => {
      rule('ends appends; tail and successor stay, reads go on', async (under) => {
        const loglet = await create(under)
        for (let i = 0; i < 5; i++) await appendSure(loglet, text(`${i}`))
        const before = (await readAll(loglet)).map(show)
        const sealed = await loglet.seal(SUCCESSOR)
        expect({ ...sealed, tail: 0 }).toEqual({ tail: 0, sealed: true, successor: SUCCESSOR })
        const outcome = await loglet.append(text('late'))
        if (!under.unreliable) expect(outcome.kind).toBe('sealed')
        expect(outcome.kind === 'appended').toBe(false)
        expect(await loglet.checkTail()).toEqual(sealed)
        expect((await readRange(loglet, sealed.tail)).map(show)).toEqual(before)
      })

      rule('is idempotent: the first successor wins', async (under) => {
        const loglet = await create(under)
        await appendSure(loglet, text('a'))
        const first = await loglet.seal(SUCCESSOR)
        expect(await loglet.seal({ kind: 'other', params: {} })).toEqual(first)
        expect(await loglet.seal(SUCCESSOR)).toEqual(first)
      })

      rule('of concurrent sealers one wins and all learn it', async (under) => {
        const loglet = await create(under)
        await appendSure(loglet, text('a'))
        const recipes = [1, 2, 3].map((i) => ({ kind: 'memory', params: { i } }))
        const answers = await Promise.all(recipes.map((recipe) => loglet.seal(recipe)))
        expect(answers).toEqual(answers.map(() => answers[0]))
        expect(recipes.some(({ params }) => params.i === answers[0]?.successor?.params.i)).toBe(true)
      })

      rule('works on an empty loglet', async (under) => {
        const loglet = await create(under)
        const { sealed, tail } = await loglet.seal(SUCCESSOR)
        expect(sealed).toBe(true)
        expect((await loglet.readNext(LOGLET_START, tail, 100)).entries).toEqual([])
      })

      rule('the order rule: under any interleaving, answers agree with one order of events', async (under) => {
        for (let seed = 1; seed <= 40; seed++) {
          const history = await concurrentHistory(under, newConfig(under), seed)
          const broken = checkHistory(history)
          if (broken.length > 0) throw new Error(`seed ${seed}: ${broken.join('; ')}`)
        }
      })
    })

    describe('prefixTrim', () => {
      rule('may free what lies below, keeps the rest, and says so to readers', async (under) => {
        const loglet = await create(under)
        for (let i = 0; i < 40; i++) await appendSure(loglet, text(`${i} ${'y'.repeat(100)}`))
        const all = await readAll(loglet)
        const { tail } = await loglet.checkTail()
        for (const to of [0, 10, 10, 5, 30, tail] as LogletOffset[]) {
          const before = loglet.trimPoint
          await loglet.prefixTrim(to)
          expect(loglet.trimPoint).toBeGreaterThanOrEqual(before)
          expect(loglet.trimPoint).toBeLessThanOrEqual(Math.max(before, to))
          const kept = all.filter(({ offset }) => offset >= loglet.trimPoint)
          expect((await readAll(loglet, loglet.trimPoint)).map(show)).toEqual(kept.map(show))
          if (loglet.trimPoint > 0) {
            const read = await loglet.readNext(LOGLET_START, END, 1)
            expect(read.trimmedTo).toBe(loglet.trimPoint)
            expect(read.next).toBeGreaterThanOrEqual(loglet.trimPoint)
          }
        }
        expect((await loglet.checkTail()).tail).toBe(tail)
        const offset = await appendSure(loglet, text('after'))
        expect(offset).toBeGreaterThanOrEqual(tail)
        expect((await loglet.readNext(offset, END, 100)).entries.map(show)).toEqual([`${offset} after`])
      })

      rule('never trims past the tail', async (under) => {
        const loglet = await create(under)
        await appendSure(loglet, text('a'))
        await loglet.prefixTrim(END)
        const { tail } = await loglet.checkTail()
        expect(loglet.trimPoint).toBeLessThanOrEqual(tail)
        expect(await appendSure(loglet, text('b'))).toBeGreaterThanOrEqual(tail)
      })

      rule('keeps marks in order, within what is readable', async (under) => {
        const loglet = await create(under)
        for (let i = 0; i < 30; i++) await appendSure(loglet, text(`${i} ${'z'.repeat(200)}`))
        await loglet.prefixTrim(12 as LogletOffset)
        const { tail } = await loglet.checkTail()
        let last = { offset: loglet.trimPoint, bytesBelow: 0 }
        for (const mark of loglet.marks()) {
          expect(mark.offset).toBeGreaterThanOrEqual(last.offset)
          expect(mark.offset).toBeLessThanOrEqual(tail)
          expect(mark.bytesBelow).toBeGreaterThanOrEqual(last.bytesBelow)
          last = mark
        }
      })
    })

    describe('handles and providers', () => {
      rule('a closed handle refuses everything; closing again is nothing', async (under) => {
        const loglet = await create(under)
        await appendSure(loglet, text('a'))
        const waiting = loglet.append(text('b'))
        await loglet.close()
        await loglet.close()
        expect(['appended', 'indeterminate', 'refused'].includes((await waiting).kind)).toBe(true)
        const outcome = await loglet.append(text('c'))
        if (!under.unreliable) expect(outcome.kind).toBe('refused')
        expect(outcome.kind === 'appended').toBe(false)
        expect(await rejection(loglet.checkTail())).toBe('CLOSED')
        expect(await rejection(loglet.readNext(LOGLET_START, END, 1))).toBe('CLOSED')
        expect(await rejection(loglet.seal(SUCCESSOR))).toBe('CLOSED')
      })

      rule('creates an identity once, opens only what exists, forgets what was destroyed', async (under) => {
        const { provider } = under
        const config = newConfig(under)
        expect(await rejection(provider.open(config))).toBe('NOT_FOUND')
        const loglet = await provider.create(config)
        expect(await rejection(provider.create(config))).toBe('CONFLICT')
        expect((await provider.list()).map(({ nonce }) => nonce)).toEqual([config.nonce])
        await appendSure(loglet, text('a'))
        await loglet.close()
        const again = await provider.open(config)
        expect((await readAll(again)).map(({ bytes }) => Buffer.from(bytes).toString()).includes('a')).toBe(true)
        await again.close()
        await provider.destroy(config)
        await provider.destroy(config)
        expect(await rejection(provider.open(config))).toBe('NOT_FOUND')
        expect(await provider.list()).toEqual([])
      })

      rule('what was acknowledged, trimmed and sealed outlives a crash', async (under) => {
        if (!under.crash) return
        const config = newConfig(under)
        let loglet = await under.provider.create(config)
        const appended: string[] = []
        for (let i = 0; i < 30; i++) {
          const bytes = `${i} ${'w'.repeat(300)}`
          appended.push(`${await appendSure(loglet, text(bytes))} ${bytes}`)
        }
        loglet = await (await under.crash()).open(config)
        expect((await readAll(loglet)).map(show)).toEqual(appended)
        await loglet.prefixTrim(20 as LogletOffset)
        const { trimPoint } = loglet
        await appendSure(loglet, text('x'))
        const sealed = await loglet.seal(SUCCESSOR)
        loglet = await (await under.crash()).open(config)
        expect(await loglet.checkTail()).toEqual(sealed)
        expect(loglet.trimPoint).toBe(trimPoint)
        expect((await loglet.append(text('late'))).kind).toBe('sealed')
        expect((await readAll(loglet, trimPoint)).map(show).slice(0, -1)).toEqual(appended.slice(trimPoint))
      })

      rule('handles of several servers see one loglet', async (under) => {
        if (!under.shared) return
        const config = newConfig(under)
        const a = await under.provider.create(config)
        const b = await under.provider.open(config)
        const told: number[] = []
        b.onTailMoved((tail) => told.push(tail))
        const offset = await appendSure(a, text('from a'))
        expect((await b.checkTail()).tail).toBeGreaterThan(offset)
        expect(told[told.length - 1]).toBeGreaterThan(offset)
        const sealed = await b.seal(SUCCESSOR)
        expect(await a.checkTail()).toEqual(sealed)
        await a.close()
        expect(await b.checkTail()).toEqual(sealed)
        await under.provider.destroy(config)
        expect(await rejection(b.checkTail())).toBe('NOT_FOUND')
      })
    })
  })
}

/** Appends until the answer is `appended`: a hostile loglet may have stored it more than once. */
async function appendSure(loglet: Loglet, bytes: Uint8Array): Promise<LogletOffset> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const outcome = await loglet.append(bytes)
    if (outcome.kind === 'appended') return outcome.offset
    if (outcome.kind !== 'indeterminate') throw new Error(`append answered ${outcome.kind}`)
  }
  throw new Error('100 appends in a row were indeterminate')
}

async function readAll(loglet: Loglet, from = LOGLET_START): Promise<LogletEntry[]> {
  const { tail } = await loglet.checkTail()
  const entries: LogletEntry[] = []
  let at = from
  while (at < tail) {
    const read = await loglet.readNext(at, tail, 1000)
    if (read.next === at) break
    entries.push(...read.entries)
    at = read.next
  }
  return entries
}

/** Appenders, tail checks and sealers at once, with seeded pauses between their steps. */
async function concurrentHistory(under: LogletUnderTest, config: LogletConfig, seed: number): Promise<LogletHistory> {
  const below = seededBelow(seed)
  const first = await under.provider.create(config)
  const handles = [first]
  while (under.shared && handles.length < 3) handles.push(await under.provider.open(config))
  const history = new LogletHistory()
  const pause = async () => {
    for (let hops = below(12); hops > 0; hops--) await Promise.resolve()
  }
  const handle = () => handles[below(handles.length)] as Loglet
  const appender = async (id: number) => {
    for (let i = 0; i < 6; i++) {
      await pause()
      const bytes = text(`${id}/${i}`)
      await history.append(bytes, () => handle().append(bytes))
    }
  }
  const checker = async () => {
    for (let i = 0; i < 8; i++) {
      await pause()
      await history.tail(() => handle().checkTail())
    }
  }
  const sealer = async (i: number) => {
    for (let pauses = below(6); pauses >= 0; pauses--) await pause()
    await history.tail((): Promise<LogletTail> => handle().seal({ kind: 'memory', params: { i } }))
  }
  await Promise.all([appender(1), appender(2), appender(3), checker(), checker(), sealer(1), sealer(2)])
  const { tail } = await first.checkTail()
  history.stored = await readRange(first, tail)
  for (const one of handles) await one.close()
  return history
}

async function readRange(loglet: Loglet, tail: LogletOffset): Promise<LogletEntry[]> {
  const entries: LogletEntry[] = []
  for (let at = LOGLET_START; at < tail; ) {
    const read = await loglet.readNext(at, tail, 100)
    entries.push(...read.entries)
    at = read.next
  }
  return entries
}

function text(value: string): Uint8Array {
  return Buffer.from(value)
}

function show(entry: LogletEntry | undefined): string {
  return entry ? `${entry.offset} ${Buffer.from(entry.bytes).toString()}` : 'none'
}

// A record of concurrent calls on one loglet, and the check that they agree with one order of events (rules 1 to 3 of
// loglet.ts). Tail checks are compared by real time: whatever ended before a call began must be visible to it.

import type { LogletAppendOutcome, LogletEntry, LogletTail } from './loglet.ts'

interface Append {
  readonly bytes: Uint8Array
  readonly ended: number
  readonly outcome: LogletAppendOutcome
}

interface Tail {
  readonly began: number
  readonly ended: number
  readonly answer: LogletTail
}

/** Steps count upwards with each beginning and end of a call. */
export class LogletHistory {
  readonly appends: Append[] = []
  readonly tails: Tail[] = []
  /** Everything below the sealed tail, read at the end. */
  stored: readonly LogletEntry[] = []
  private step = 0

  async append(bytes: Uint8Array, call: () => Promise<LogletAppendOutcome>): Promise<void> {
    const outcome = await call()
    this.appends.push({ bytes, outcome, ended: this.step++ })
  }

  async tail(call: () => Promise<LogletTail>): Promise<void> {
    const began = this.step++
    const answer = await call()
    this.tails.push({ answer, began, ended: this.step++ })
  }
}

/** Every broken rule in words; empty if the history is fine. */
export function checkHistory(history: LogletHistory): string[] {
  return [...brokenSeal(history), ...brokenTails(history), ...brokenEntries(history)]
}

function brokenSeal({ appends, tails }: LogletHistory): string[] {
  const sealed = tails.find(({ answer }) => answer.sealed)?.answer
  if (!sealed) return ['nobody found the loglet sealed']
  const broken: string[] = []
  for (const { answer } of tails) {
    const { tail } = answer
    if (answer.sealed && JSON.stringify(answer) !== JSON.stringify(sealed)) {
      broken.push(`sealed at ${tail} for ${JSON.stringify(answer.successor)}, elsewhere at ${sealed.tail}`)
    }
    if (!answer.sealed && tail > sealed.tail) broken.push(`open tail ${tail} past the sealed tail ${sealed.tail}`)
  }
  for (const { outcome } of appends) {
    if (outcome.kind !== 'appended' || outcome.offset < sealed.tail) continue
    broken.push(`append acknowledged at ${outcome.offset}, sealed at ${sealed.tail}`)
  }
  return broken
}

function brokenTails({ appends, tails }: LogletHistory): string[] {
  const broken: string[] = []
  for (const { began, answer } of tails) {
    for (const { ended, outcome } of appends) {
      if (outcome.kind !== 'appended' || ended > began || outcome.offset < answer.tail) continue
      broken.push(`tail ${answer.tail} after an append acknowledged at ${outcome.offset}`)
    }
    for (const earlier of tails) {
      if (earlier.ended > began) continue
      if (earlier.answer.tail > answer.tail) broken.push(`tail ${answer.tail} after ${earlier.answer.tail}`)
      if (earlier.answer.sealed && !answer.sealed) broken.push('open after sealed')
    }
  }
  return broken
}

function brokenEntries({ appends, stored }: LogletHistory): string[] {
  const broken: string[] = []
  const byOffset = new Map(stored.map(({ offset, bytes }) => [offset, bytes]))
  if (byOffset.size !== stored.length) broken.push('an offset was read twice')
  const offsets = new Set<number>()
  for (const { bytes, outcome } of appends) {
    if (outcome.kind !== 'appended') continue
    if (offsets.has(outcome.offset)) broken.push(`two appends acknowledged at ${outcome.offset}`)
    offsets.add(outcome.offset)
    const found = byOffset.get(outcome.offset)
    if (!found || Buffer.compare(found, bytes) !== 0)
      broken.push(`the entry acknowledged at ${outcome.offset} is not there`)
  }
  return broken
}

// What happened in a run, as a hash that depends on every notable thing and on their order, and as the last few in words.

const TAIL_LENGTH = 200

interface Note {
  readonly atMs: number
  readonly what: string
  readonly detail: string | number
}

/** Equal runs have equal hashes; a difference anywhere makes all later hashes differ. */
export class Trace {
  private low = 0x243f6a88
  private high = 0x85a308d3
  private readonly nowMs: () => number
  private readonly tail: (Note | undefined)[] = new Array(TAIL_LENGTH).fill(undefined)
  private notes = 0
  private readonly hashOfText = new Map<string, number>()
  private readonly float = new Float64Array(1)
  private readonly words = new Uint32Array(this.float.buffer)

  /** `nowMs` dates the notes. */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  /** Adds something notable. `what` is one of few constant texts. About 60 ns and the length of `detail`. */
  note(what: string, detail: string | number = 0): void {
    this.mix(this.hashOf(what))
    if (typeof detail === 'number') this.number(detail)
    else this.mix(hashText(detail))
    this.tail[this.notes++ % TAIL_LENGTH] = { atMs: this.nowMs(), what, detail }
  }

  /** Adds a number to the hash only: what happens too often to be kept in words. About 5 ns. */
  number(value: number): void {
    this.float[0] = value
    this.mix(this.words[0] as number)
    this.mix(this.words[1] as number)
  }

  /** 16 hex digits. */
  get hash(): string {
    return (this.low >>> 0).toString(16).padStart(8, '0') + (this.high >>> 0).toString(16).padStart(8, '0')
  }

  /** The last notes as lines, oldest first. */
  lines(countMax = TAIL_LENGTH): string[] {
    const count = Math.min(countMax, this.notes, TAIL_LENGTH)
    return Array.from({ length: count }, (_, i) => {
      const { atMs, what, detail } = this.tail[(this.notes - count + i) % TAIL_LENGTH] as Note
      return `${atMs.toFixed(3).padStart(12)} ms  ${what}${detail === 0 ? '' : ` ${detail}`}`
    })
  }

  private hashOf(text: string): number {
    let hash = this.hashOfText.get(text)
    if (hash === undefined) {
      hash = hashText(text)
      this.hashOfText.set(text, hash)
    }
    return hash
  }

  private mix(word: number): void {
    const low = Math.imul(this.low ^ word, 0x9e3779b1)
    this.low = (low << 13) | (low >>> 19)
    const high = Math.imul((this.high + word) ^ (low >>> 16), 0x85ebca77)
    this.high = (high << 17) | (high >>> 15)
  }
}

function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

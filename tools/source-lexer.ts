// Splits TypeScript source into tokens, without comments. Enough to find imports and names; it knows no grammar.

export interface Token {
  /** `template` stands for each literal part of a template string. */
  readonly kind: 'name' | 'string' | 'template' | 'number' | 'regex' | 'punctuation'
  /** The text itself; of a string what stands between its quotes. */
  readonly text: string
  /** 1-based. */
  readonly line: number
}

const NAME = /[A-Za-z_$#\u0080-\uffff][\w$\u0080-\uffff]*/y
const NUMBER = /\d[\w.]*/y
const SPACE = /[^\S\n]+/y
const REGEX = /\/(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y

// After one of these names a slash begins a regular expression, after any other it divides.
const BEFORE_REGEX = new Set([
  'return',
  'typeof',
  'case',
  'in',
  'of',
  'delete',
  'void',
  'throw',
  'new',
  'else',
  'await',
])

/** The tokens of `source`, in order. Unterminated literals end with the source. */
export function tokensOf(source: string): Token[] {
  return new Lexer(source).run()
}

class Lexer {
  private readonly source: string
  private readonly tokens: Token[] = []
  private at = 0
  private line = 1
  /** For each open `${`, how many braces are open inside it. */
  private readonly templateDepths: number[] = []

  constructor(source: string) {
    this.source = source
  }

  run(): Token[] {
    if (this.source.startsWith('#!')) this.skipTo('\n')
    while (this.at < this.source.length) this.step()
    return this.tokens
  }

  private step(): void {
    const char = this.source.charAt(this.at)
    if (char === '\n') {
      this.line++
      this.at++
    } else if (this.match(SPACE) !== undefined) return
    else if (this.source.startsWith('//', this.at)) this.skipTo('\n')
    else if (this.source.startsWith('/*', this.at)) this.skipPast('*/')
    else if (char === "'" || char === '"') this.string(char)
    else if (char === '`') this.template()
    else this.wordOrPunctuation(char)
  }

  private wordOrPunctuation(char: string): void {
    const name = this.match(NAME)
    if (name !== undefined) return this.push('name', name)
    const number = this.match(NUMBER)
    if (number !== undefined) return this.push('number', number)
    if (char === '/' && this.regexMayStart()) {
      const regex = this.match(REGEX)
      if (regex !== undefined) return this.push('regex', regex)
    }
    this.punctuation(char)
  }

  private punctuation(char: string): void {
    const depth = this.templateDepths.length - 1
    if (depth >= 0 && char === '}' && this.templateDepths[depth] === 0) {
      this.templateDepths.pop()
      return this.template()
    }
    if (depth >= 0 && char === '{') this.templateDepths[depth]! += 1
    if (depth >= 0 && char === '}') this.templateDepths[depth]! -= 1
    this.at++
    this.push('punctuation', char)
  }

  private string(quote: string): void {
    const start = ++this.at
    while (this.at < this.source.length && this.source.charAt(this.at) !== quote) this.skipCharacter()
    this.push('string', this.source.slice(start, this.at))
    this.at++
  }

  /** From a backtick or the brace that ends a `${`, up to the next `${` or the closing backtick. */
  private template(): void {
    const start = ++this.at
    const line = this.line
    while (this.at < this.source.length) {
      const char = this.source.charAt(this.at)
      if (char === '`') break
      if (char === '$' && this.source.charAt(this.at + 1) === '{') break
      this.skipCharacter()
    }
    this.tokens.push({ kind: 'template', text: this.source.slice(start, this.at), line })
    if (this.source.charAt(this.at) === '$') {
      this.at++
      this.templateDepths.push(0)
    }
    this.at++
  }

  private skipCharacter(): void {
    if (this.source.charAt(this.at) === '\\') this.at++
    if (this.source.charAt(this.at) === '\n') this.line++
    this.at++
  }

  private regexMayStart(): boolean {
    const last = this.tokens.at(-1)
    if (last === undefined) return true
    if (last.kind === 'name') return BEFORE_REGEX.has(last.text)
    return last.kind === 'punctuation' && !')]}'.includes(last.text)
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.source)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  private push(kind: Token['kind'], text: string): void {
    this.tokens.push({ kind, text, line: this.line })
  }

  private skipTo(end: string): void {
    const found = this.source.indexOf(end, this.at)
    this.at = found === -1 ? this.source.length : found
  }

  private skipPast(end: string): void {
    const start = this.at
    this.skipTo(end)
    this.at = Math.min(this.at + end.length, this.source.length)
    for (let i = start; i < this.at; i++) if (this.source.charCodeAt(i) === 10) this.line++
  }
}

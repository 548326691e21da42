// What stands before a loglet, or before a provider of them, and passes everything on: a class that changes one thing overrides
// that alone.

import type {
  Loglet,
  LogletAppendOutcome,
  LogletConfig,
  LogletMark,
  LogletProvider,
  LogletRead,
  LogletRecipe,
  LogletTail,
} from './loglet.ts'
import type { LogletOffset } from './position.ts'

export class ForwardingLoglet implements Loglet {
  protected readonly inner: Loglet

  constructor(inner: Loglet) {
    this.inner = inner
  }

  get maxEntryBytes(): number {
    return this.inner.maxEntryBytes
  }

  get trimPoint(): LogletOffset {
    return this.inner.trimPoint
  }

  append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    return this.around(() => this.inner.append(bytes))
  }

  checkTail(): Promise<LogletTail> {
    return this.around(() => this.inner.checkTail())
  }

  readNext(from: LogletOffset, to: LogletOffset, maxBytes: number): Promise<LogletRead> {
    return this.around(() => this.inner.readNext(from, to, maxBytes))
  }

  prefixTrim(to: LogletOffset): Promise<void> {
    return this.around(() => this.inner.prefixTrim(to))
  }

  seal(successor: LogletRecipe): Promise<LogletTail> {
    return this.around(() => this.inner.seal(successor))
  }

  onTailMoved(listener: (tail: LogletOffset) => void): () => void {
    return this.inner.onTailMoved(listener)
  }

  marks(): readonly LogletMark[] {
    return this.inner.marks()
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  /** Every call that has an answer of its own, all but `close`. */
  protected around<T>(call: () => Promise<T>): Promise<T> {
    return call()
  }
}

/** A provider whose loglets are wrapped, each as it is created or opened. */
export class ForwardingLogletProvider implements LogletProvider {
  readonly kind: string
  protected readonly inner: LogletProvider
  private readonly wrap: (loglet: Loglet, config: LogletConfig) => Loglet | Promise<Loglet>

  constructor(inner: LogletProvider, wrap: (loglet: Loglet, config: LogletConfig) => Loglet | Promise<Loglet>) {
    this.kind = inner.kind
    this.inner = inner
    this.wrap = wrap
  }

  async create(config: LogletConfig): Promise<Loglet> {
    return this.wrap(await this.around(() => this.inner.create(config)), config)
  }

  async open(config: LogletConfig): Promise<Loglet> {
    return this.wrap(await this.around(() => this.inner.open(config)), config)
  }

  destroy(config: LogletConfig): Promise<void> {
    return this.around(() => this.inner.destroy(config))
  }

  list(): Promise<readonly LogletConfig[]> {
    return this.around(() => this.inner.list())
  }

  protected around<T>(call: () => Promise<T>): Promise<T> {
    return call()
  }
}

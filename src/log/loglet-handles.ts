// Open loglets of one virtual log, by nonce: each is opened once, when first needed, and closed when the chain drops it.

import { DelosError } from '../base/delos-error.ts'
import { type Chain, chainNames } from './chain/chain.ts'
import { allEnded } from './deadline.ts'
import type { Loglet, LogletConfig, LogletProvider } from './loglet.ts'

export class LogletHandles {
  private readonly providers: ReadonlyMap<string, LogletProvider>
  private readonly handles = new Map<string, Promise<Loglet>>()
  private readonly ready = new Map<string, Loglet>()
  /** Part of an attempt, and perhaps not named by the chain: `retain` and sweeps leave them alone. */
  private readonly attempts = new Set<string>()
  /** Handles on their way out: a provider has one handle a loglet. */
  private readonly closing = new Map<string, Promise<void>>()
  private closed = false

  constructor(providers: readonly LogletProvider[]) {
    this.providers = new Map(providers.map((provider) => [provider.kind, provider]))
  }

  /** The handle if it is open now. */
  peek(config: LogletConfig): Loglet | undefined {
    return this.ready.get(config.nonce)
  }

  /** Opens, or shares the open handle. Rejects with NOT_FOUND if there is no such loglet, CLOSED after `closeAll`. */
  open(config: LogletConfig): Promise<Loglet> {
    return this.handles.get(config.nonce) ?? this.keep(config, this.openAnew(config))
  }

  /** Creates a loglet for an attempt; `settle` ends the attempt. */
  create(config: LogletConfig): Promise<Loglet> {
    if (this.closed) return Promise.reject(closedError())
    this.attempts.add(config.nonce)
    return this.keep(config, this.provider(config.kind).create(config))
  }

  /** A loglet that exists takes part in an attempt, until `settle`. */
  hold(config: LogletConfig): void {
    this.attempts.add(config.nonce)
  }

  isHeld(config: LogletConfig): boolean {
    return this.attempts.has(config.nonce)
  }

  /** The attempt is decided: from now on the chain alone says whether the handle stays. */
  settle(config: LogletConfig): void {
    this.attempts.delete(config.nonce)
  }

  /** Closes the handle and removes the loglet for good. */
  async destroy(config: LogletConfig): Promise<void> {
    await this.close(config.nonce)
    this.attempts.delete(config.nonce)
    await this.provider(config.kind).destroy(config)
  }

  /** Closes every handle that the chain does not name. */
  async retain(chain: Chain): Promise<void> {
    const dropped = [...this.handles.keys()].filter((nonce) => !chainNames(chain, nonce) && !this.attempts.has(nonce))
    await Promise.all(dropped.map((nonce) => this.close(nonce)))
  }

  /** Identities that exist at the providers. */
  async list(): Promise<LogletConfig[]> {
    const lists = await Promise.all([...this.providers.values()].map((provider) => provider.list()))
    return lists.flat()
  }

  /** A loglet that somebody appended to. One whose creation was cut off, or is being undone, is none. */
  async findUsed(): Promise<LogletConfig | undefined> {
    for (const config of await this.list()) {
      try {
        const { tail, sealed } = await (await this.open(config)).checkTail()
        if (tail > 0 || sealed) return config
      } catch (error) {
        if (!isGone(error)) throw error
      }
    }
    return undefined
  }

  /** Closes every handle, for good: whatever still runs can open none. */
  async closeAll(): Promise<void> {
    this.closed = true
    await allEnded([...this.handles.keys()].map((nonce) => this.close(nonce)))
  }

  private async openAnew(config: LogletConfig): Promise<Loglet> {
    await this.closing.get(config.nonce)
    if (this.closed) throw closedError()
    return this.provider(config.kind).open(config)
  }

  private keep(config: LogletConfig, opening: Promise<Loglet>): Promise<Loglet> {
    const kept = opening.then(
      (loglet) => {
        if (this.handles.get(config.nonce) === kept) this.ready.set(config.nonce, loglet)
        return loglet
      },
      (error: unknown) => {
        // A failed attempt is not remembered: the next caller tries again. One that came meanwhile has its own handle.
        if (this.handles.get(config.nonce) === kept) this.handles.delete(config.nonce)
        throw error
      },
    )
    this.handles.set(config.nonce, kept)
    return kept
  }

  private close(nonce: string): Promise<void> {
    const handle = this.handles.get(nonce)
    if (!handle) return this.closing.get(nonce) ?? Promise.resolve()
    this.handles.delete(nonce)
    this.ready.delete(nonce)
    const closing = closeOpened(handle).finally(() => this.closing.delete(nonce))
    this.closing.set(nonce, closing)
    return closing
  }

  private provider(kind: string): LogletProvider {
    const provider = this.providers.get(kind)
    if (!provider) throw new DelosError('UNSUPPORTED', `no provider for loglets of kind ${kind}`)
    return provider
  }
}

async function closeOpened(handle: Promise<Loglet>): Promise<void> {
  // A handle that never opened needs no closing.
  const loglet = await handle.catch(() => undefined)
  await loglet?.close()
}

function closedError(): DelosError {
  return new DelosError('CLOSED', 'the log was closed')
}

/** The loglet is not there (any more), or this handle was closed because the chain dropped it. */
export function isGone(error: unknown): boolean {
  return error instanceof DelosError && (error.code === 'NOT_FOUND' || error.code === 'CLOSED')
}

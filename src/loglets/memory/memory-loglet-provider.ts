// A service of memory loglets: one instance is the shared world of all servers in a process that are given it.

import { DelosError } from '../../base/delos-error.ts'
import type { Loglet, LogletConfig, LogletProvider } from '../../log/loglet.ts'
import { MemoryLog, MemoryLoglet, type MemoryLogletOptions } from './memory-loglet.ts'

const DEFAULTS: MemoryLogletOptions = { maxEntryBytes: 1 << 20, gap: () => 0, zombies: false, wallMs: () => 0 }

/** Several servers that `open` the same configuration get handles onto the same loglet. */
export class MemoryLogletProvider implements LogletProvider {
  readonly kind = 'memory'
  private readonly options: MemoryLogletOptions
  private readonly logs = new Map<string, MemoryLog>()

  constructor(options: Partial<MemoryLogletOptions> = {}) {
    this.options = { ...DEFAULTS, ...options }
  }

  async create(config: LogletConfig): Promise<Loglet> {
    if (this.logs.has(config.nonce)) throw new DelosError('CONFLICT', `memory loglet ${config.nonce} exists`)
    const log = new MemoryLog(config, this.options)
    this.logs.set(config.nonce, log)
    return new MemoryLoglet(log)
  }

  async open(config: LogletConfig): Promise<Loglet> {
    const log = this.logs.get(config.nonce)
    if (!log) throw new DelosError('NOT_FOUND', `no memory loglet ${config.nonce}`)
    return new MemoryLoglet(log)
  }

  async destroy(config: LogletConfig): Promise<void> {
    const log = this.logs.get(config.nonce)
    if (!log) return
    log.destroyed = true
    this.logs.delete(config.nonce)
  }

  async list(): Promise<readonly LogletConfig[]> {
    return [...this.logs.values()].map((log) => log.config)
  }
}

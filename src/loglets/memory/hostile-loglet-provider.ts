// Bad weather around any loglets: delays before and after each call (so concurrent appends and their answers change order),
// entries appended twice, answers lost. It stays within the loglet contract; whatever breaks under it is a bug above.

import { DelosError } from '../../base/delos-error.ts'
import { ForwardingLoglet, ForwardingLogletProvider } from '../../log/forwarding-loglet.ts'
import type { Loglet, LogletAppendOutcome, LogletProvider } from '../../log/loglet.ts'
import type { Random, Timers } from '../../runtime/runtime.ts'

/** Rates are probabilities from 0 to 1 per call. */
export interface HostileOptions {
  readonly random: Random
  readonly timers: Timers
  /** Each delay is uniform in [0, delayMsMax). */
  readonly delayMsMax: number
  readonly delayRate: number
  /** An acknowledged entry is stored a second time, at a later offset. */
  readonly duplicateRate: number
  /** The append happened, or never happens, and the answer is `indeterminate`. */
  readonly indeterminateRate: number
}

const DEFAULTS = { delayMsMax: 20, delayRate: 0.5, duplicateRate: 0.02, indeterminateRate: 0.02 }

class Weather {
  private readonly options: HostileOptions

  constructor(options: HostileOptions) {
    this.options = options
  }

  chance(rate: number): boolean {
    return this.options.random.uint32() < rate * 0x1_0000_0000
  }

  async delay(): Promise<void> {
    if (!this.chance(this.options.delayRate)) return
    const delayMs = (this.options.random.uint32() / 0x1_0000_0000) * this.options.delayMsMax
    await new Promise<void>((resolve) => this.options.timers.after(delayMs, resolve))
  }

  async around<T>(call: () => Promise<T>): Promise<T> {
    await this.delay()
    const answer = await call()
    await this.delay()
    return answer
  }

  get duplicates(): boolean {
    return this.chance(this.options.duplicateRate)
  }

  get loses(): boolean {
    return this.chance(this.options.indeterminateRate)
  }
}

class HostileLoglet extends ForwardingLoglet {
  private readonly weather: Weather

  constructor(inner: Loglet, weather: Weather) {
    super(inner)
    this.weather = weather
  }

  override async append(bytes: Uint8Array): Promise<LogletAppendOutcome> {
    await this.weather.delay()
    const lost = this.weather.loses
    if (lost && this.weather.chance(0.5)) return indeterminate()
    const outcome = await this.inner.append(bytes)
    if (outcome.kind === 'appended' && this.weather.duplicates) await this.inner.append(bytes)
    await this.weather.delay()
    return lost && outcome.kind === 'appended' ? indeterminate() : outcome
  }

  protected override around<T>(call: () => Promise<T>): Promise<T> {
    return this.weather.around(call)
  }
}

function indeterminate(): LogletAppendOutcome {
  return { kind: 'indeterminate', cause: new DelosError('INDETERMINATE', 'the answer to an append was lost') }
}

/** Wraps every loglet of `inner`. The same seed and schedule give the same weather. */
export class HostileLogletProvider extends ForwardingLogletProvider {
  private readonly weather: Weather

  constructor(
    inner: LogletProvider,
    options: Pick<HostileOptions, 'random' | 'timers'> & Partial<Omit<HostileOptions, 'random' | 'timers'>>,
  ) {
    const weather = new Weather({ ...DEFAULTS, ...options })
    super(inner, (loglet) => new HostileLoglet(loglet, weather))
    this.weather = weather
  }

  protected override around<T>(call: () => Promise<T>): Promise<T> {
    return this.weather.around(call)
  }
}

// The planted bugs of Lease: `lease-clock-first` looks at the clock and then reads, `lease-margin-zero` reads as long as others wait,
// `lease-filters-control` filters the control entries of whoever does not hold it.

import type { EngineContext } from '../engine/engine-layer.ts'
import type { EngineFactory } from '../engine/stack.ts'
import type { LeaseHeader } from '../engines/lease/lease-codec.ts'
import { LeaseEngine, type LeaseOptions, leaseEngine } from '../engines/lease/lease-engine.ts'
import type { ReadTx } from '../store/local-store.ts'
import type { PlantedBug } from './planted-bugs.ts'

/** `leaseEngine(options)`, or one with that bug. */
export function plantedLease(options: LeaseOptions, planted: PlantedBug | undefined): EngineFactory {
  const factory = leaseEngine(options)
  const make = (context: EngineContext): LeaseEngine | undefined => {
    if (planted === 'lease-clock-first') return new ClockFirst(context, options)
    if (planted === 'lease-margin-zero') return new NoMargin(context, options)
    return planted === 'lease-filters-control' ? new FiltersControl(context, options) : undefined
  }
  return { ...factory, create: (context) => make(context) ?? factory.create(context) }
}

class ClockFirst extends LeaseEngine {
  override async read<T>(use: (tx: ReadTx) => T): Promise<T> {
    if (this.leased(() => undefined) === undefined) return super.read(use)
    // Where a process may stand still: between two instructions.
    await new Promise<void>((resolve) => this.context.timers.soon(resolve))
    return use(this.context.read())
  }
}

class NoMargin extends LeaseEngine {
  protected override usableMs({ durationMs }: LeaseOptions): number {
    return durationMs
  }
}

class FiltersControl extends LeaseEngine {
  protected override admits(header: LeaseHeader): boolean {
    return !this.record.state.held || header.kind !== 'take'
  }
}

// Writes a line into the log when an alarm of a database appears, and when it is over. What is shown elsewhere is the present
// state; this is for whoever reads logs.

import type { Logger } from '../runtime/logger.ts'
import type { Timer, Timers } from '../runtime/runtime.ts'

const LOOK_MS = 1000

export class AlarmWatch {
  private readonly database: string
  private readonly alarms: () => readonly string[]
  private readonly timers: Timers
  private readonly logger: Logger
  private told: ReadonlySet<string> = new Set()
  private timer: Timer | undefined

  constructor(database: string, alarms: () => readonly string[], timers: Timers, logger: Logger) {
    this.database = database
    this.alarms = alarms
    this.timers = timers
    this.logger = logger
  }

  start(): void {
    this.timer = this.timers.after(LOOK_MS, () => {
      this.look()
      this.start()
    })
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = undefined
  }

  private look(): void {
    const alarms = new Set(this.alarms())
    for (const alarm of alarms) {
      if (!this.told.has(alarm)) this.logger.error({ database: this.database, alarm }, 'alarm')
    }
    for (const alarm of this.told) {
      if (!alarms.has(alarm)) this.logger.info({ database: this.database, alarm }, 'the alarm is over')
    }
    this.told = alarms
  }
}

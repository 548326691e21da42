import { expect, it } from 'vitest'
import { SILENT_LOGGER } from '../runtime/logger.ts'
import { ManualTime } from '../store/manual-time.ts'
import { AlarmWatch } from './alarm-watch.ts'

it('an alarm is logged when it appears and when it is over, once each', () => {
  const time = new ManualTime(queueMicrotask)
  const lines: string[] = []
  const note = (level: string) => (fields: { alarm?: string }, text: string) =>
    lines.push(`${level} ${text} ${fields.alarm}`)
  let alarms: string[] = []
  const logger = { ...SILENT_LOGGER, error: note('error'), info: note('info') } as typeof SILENT_LOGGER
  const watch = new AlarmWatch('zelos', () => alarms, time, logger)
  watch.start()
  const pass = () => {
    for (let i = 0; i < 5; i++) time.advance(1000)
  }
  pass()
  alarms = ['time: late']
  pass()
  alarms = ['time: late', 'view-tracking: differs']
  pass()
  alarms = ['view-tracking: differs']
  pass()
  watch.stop()
  alarms = []
  pass()
  expect(lines).toEqual([
    'error alarm time: late',
    'error alarm view-tracking: differs',
    'info the alarm is over time: late',
  ])
})

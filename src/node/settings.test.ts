// Settings: where a value comes from, what is refused.

import { describe, expect, it } from 'vitest'
import { type RawSettings, resolveSettings, SETTING_KEYS, SETTINGS } from './settings.ts'

const complaint = (file: RawSettings, flags: RawSettings = {}): string => {
  try {
    resolveSettings(file, flags)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

describe('settings', () => {
  it('a flag wins over the file, the file over the default, and each value says where it came from', () => {
    const { values, origins } = resolveSettings(
      { 'tick-ms': 500, host: '::1', 'drain-ms': null },
      { 'tick-ms': '700', 'api-port': 'off' },
    )
    expect(values).toMatchObject({ tickMs: 700, host: '::1', apiPort: 'off', drainMs: 5000, zookeeperPort: 2181 })
    expect(origins).toMatchObject({
      tickMs: 'flag',
      host: 'file',
      apiPort: 'flag',
      drainMs: 'default',
      zookeeperPort: 'default',
    })
  })

  it('every default is a value that its own schema accepts', () => {
    const { values } = resolveSettings({}, {})
    for (const key of SETTING_KEYS) expect(values[key], key).toEqual(SETTINGS[key].fallback)
  })

  it.each<[string, RawSettings, RegExp]>([
    ['a name that does not exist', { 'tick-msec': 5 }, /^tick-msec: no such setting$/],
    ['a truth value for a number', { 'tick-ms': true }, /^tick-ms: a number is expected$/],
    ['an empty text', { 'tick-ms': '' }, /^tick-ms: a number is expected$/],
    ['a list', { 'tick-ms': [] }, /^tick-ms: a number is expected$/],
    ['another notation', { 'tick-ms': '0x10' }, /^tick-ms: a number is expected$/],
    ['a fraction', { 'tick-ms': 10.5 }, /^tick-ms: /],
    ['too little', { 'tick-ms': 9 }, /^tick-ms: /],
    ['a port that there is not', { 'zookeeper-port': 65_536 }, /^zookeeper-port: /],
    ['a word for a port', { 'zookeeper-port': 'on' }, /^zookeeper-port: a port from 0 to 65535, or off, is expected$/],
    ['an empty path', { 'data-dir': '' }, /^data-dir: /],
    ['a database that there is not', { databases: 'zelos,elephants' }, /^databases: there is no database elephants/],
    ['a database twice', { databases: 'zelos,zelos' }, /^databases: a name is given twice$/],
    ['no database', { databases: [] }, /^databases: /],
    ['a level that there is not', { 'log-level': 'loud' }, /^log-level: /],
    ['timeouts the wrong way round', { 'session-timeout-max-ms': 100 }, /session-timeout-min-ms \(4000\) is above/],
  ])('refuses %s', (_what, file, message) => {
    expect(complaint(file)).toMatch(message)
  })

  it('tells everything that is wrong at once', () => {
    expect(complaint({ nonsense: 1 }, { 'tick-ms': 'x', 'api-port': '-1' }).split('\n')).toHaveLength(3)
  })
})

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

  const tick = 'must be a whole number from 10 to 2147483647'

  it.each<[string, RawSettings, string]>([
    ['a name that does not exist', { 'tick-msec': 5 }, 'tick-msec: no such setting'],
    ['a truth value for a number', { 'tick-ms': true }, `tick-ms: true ${tick}`],
    ['an empty text', { 'tick-ms': '' }, `tick-ms: '' ${tick}`],
    ['a list', { 'tick-ms': [1, 'x'] }, `tick-ms: [ 1, 'x' ] ${tick}`],
    ['another notation', { 'tick-ms': '0x10' }, `tick-ms: 0x10 ${tick}`],
    ['a fraction', { 'tick-ms': 10.5 }, `tick-ms: 10.5 ${tick}`],
    ['too little', { 'tick-ms': 9 }, `tick-ms: 9 ${tick}`],
    ['too much', { 'tick-ms': '2147483648' }, `tick-ms: 2147483648 ${tick}`],
    ['more than a number holds', { 'tick-ms': '9'.repeat(400) }, `tick-ms: ${'9'.repeat(60)}… ${tick}`],
    ['too many hours', { 'log-retention-hours': -1 }, 'log-retention-hours: -1 must be a number from 0 to 87600'],
    [
      'a port that there is not',
      { 'zookeeper-port': 65_536 },
      'zookeeper-port: 65536 must be a port from 0 to 65535, or off',
    ],
    ['a word for a port', { 'api-port': 'on' }, 'api-port: on must be a port from 0 to 65535, or off'],
    ['an empty path', { 'data-dir': '' }, "data-dir: '' must be a path"],
    ['a number for a host', { host: 1 }, 'host: 1 must be an address of this machine, or a name of one'],
    [
      'a database that there is not',
      { databases: 'zelos,elephants' },
      'databases: zelos,elephants must be names separated by commas, each once, out of: zelos, table',
    ],
    [
      'a database twice',
      { databases: 'zelos,zelos' },
      'databases: zelos,zelos must be names separated by commas, each once, out of: zelos, table',
    ],
    [
      'no database',
      { databases: [] },
      'databases: [] must be names separated by commas, each once, out of: zelos, table',
    ],
    [
      'a level that there is not',
      { 'log-level': 'loud' },
      'log-level: loud must be one of debug, info, warn, error, silent',
    ],
    [
      'timeouts the wrong way round',
      { 'session-timeout-max-ms': 100 },
      'session-timeout-min-ms (4000) is above session-timeout-max-ms (100)',
    ],
  ])('refuses %s', (_what, file, message) => {
    expect(complaint(file)).toBe(message)
  })

  it('names every setting, its value and what is allowed, in words of its own, flags as flags', () => {
    for (const key of SETTING_KEYS) {
      const { name, allowed } = SETTINGS[key]
      expect(complaint({}, { [name]: '' })).toBe(`--${name}: '' must be ${allowed}`)
    }
  })

  it('tells everything that is wrong at once', () => {
    expect(complaint({ nonsense: 1 }, { 'tick-ms': 'x', 'api-port': '-1' }).split('\n')).toHaveLength(3)
  })
})

// Which failures of a start are a full disk. The whole start on one is in cli/command-line.slow.test.ts.

import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { diskError } from '../runtime/node-disk-error.ts'
import { toldIfDiskFull } from './full-disk.ts'

const system = (code: string): Error => Object.assign(new Error(`${code}: write`), { code })

describe('a start that fails', () => {
  it.each<[string, Error]>([
    ['without space for a file', diskError(system('ENOSPC'), 'lock', '/d/LOCK')],
    ['without quota', diskError(system('EDQUOT'), 'write', '/d/x')],
    ['below the reserve of the log', new DelosError('DISK_FULL', '/d/log: 5 bytes free, the reserve is 10')],
    ['for a cause that is one', new DelosError('STOPPED', 'it ended', { cause: system('ENOSPC') })],
    [
      'when RocksDB has no space',
      DelosError.from(
        new Error('IO error: No space left on device: While appending to file: /d/1.sst: No space left on device'),
        'IO_ERROR',
        'opening the store',
      ),
    ],
  ])('%s is told as a full disk, with what to do', (_what, error) => {
    const told = toldIfDiskFull(error, '/d')
    expect(told).toMatchObject({ code: 'DISK_FULL', cause: error })
    expect((told as Error).message).toMatch(/^the disk that holds \/d is full \(.+\): free space on it and start again/)
  })

  it.each<[string, unknown]>([
    ['a disk that fails', diskError(system('EIO'), 'write', '/d/x')],
    ['a bug', new TypeError('no space')],
    ['something that is no error', undefined],
  ])('for %s stays what it is', (_what, error) => {
    expect(toldIfDiskFull(error, '/d')).toBe(error)
  })
})

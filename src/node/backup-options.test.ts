import { expect, it } from 'vitest'
import { backupOptions } from './backup-options.ts'
import { resolveSettings } from './settings.ts'

it('a key without a place for backups is refused, so that nobody believes to have any', () => {
  const settings = (given: Readonly<Record<string, unknown>>) => resolveSettings({}, given).values
  expect(backupOptions(settings({}))).toBeUndefined()
  expect(backupOptions(settings({ 'backup-to': 'dir:/b', 'backup-key-file': '/k' }))).toMatchObject({ keyFile: '/k' })
  expect(() => backupOptions(settings({ 'backup-key-file': '/k' }))).toThrow('backup-to is not')
})

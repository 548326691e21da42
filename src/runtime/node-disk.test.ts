import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { diskConformance } from './disk.conformance.ts'
import { NodeDisk } from './node-disk.ts'
import { diskError } from './node-disk-error.ts'

diskConformance('NodeDisk', { describe, it, expect, beforeEach, afterEach }, async () => {
  const root = await fs.mkdtemp(path.join(os.tmpdir(), 'delos-disk-'))
  return { disk: new NodeDisk(), root, close: () => fs.rm(root, { recursive: true }) }
})

describe('NodeDisk', () => {
  it('reports a full disk and a full quota as DISK_FULL, and names the operation and the path', () => {
    for (const code of ['ENOSPC', 'EDQUOT']) {
      const error = diskError(Object.assign(new Error('no'), { code }), 'write', 'dir/file')
      expect(error.code).toBe('DISK_FULL')
      expect(error.message).toBe(`write dir/file: ${code}`)
    }
    expect(diskError(Object.assign(new Error('no'), { code: 'EIO' }), 'sync', 'f').code).toBe('IO_ERROR')
  })

  it.runIf(process.platform === 'linux')('gets DISK_FULL from a device without space', async () => {
    const file = await new NodeDisk().open('/dev/full', 'update')
    await expect(file.write(Buffer.alloc(10), 0)).rejects.toMatchObject({ code: 'DISK_FULL' })
    await expect(file.write(Buffer.alloc(100_000), 0)).rejects.toMatchObject({ code: 'DISK_FULL' })
    await file.close()
  })

  it('makes files and directories that only their owner can read', async () => {
    const root = await fs.mkdtemp(path.join(os.tmpdir(), 'delos-disk-'))
    const disk = new NodeDisk()
    await disk.makeDir(`${root}/d`)
    await (await disk.open(`${root}/d/f`, 'create')).close()
    expect((await fs.stat(`${root}/d`)).mode & 0o077).toBe(0)
    expect((await fs.stat(`${root}/d/f`)).mode & 0o077).toBe(0)
    await fs.rm(root, { recursive: true })
  })
})

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NodeDisk } from '../runtime/node-disk.ts'
import { NodeRandom } from '../runtime/node-random.ts'
import { DataDirectory } from './data-directory.ts'
import {
  checkIdentity,
  decodeIdentity,
  drawIdentity,
  encodeIdentity,
  openIdentity,
  readIdentity,
  writeIdentity,
} from './identity.ts'

const runtime = { disk: new NodeDisk(), random: new NodeRandom() }
let root: string
beforeEach(async () => {
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'delos-data-'))
})
afterEach(() => fs.rm(root, { recursive: true }))

function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'nothing',
    (thrown: { code?: string; message?: string }) => `${thrown.code}: ${thrown.message?.replaceAll(root, 'ROOT')}`,
  )
}

describe('a data directory', () => {
  it('is created with its parents, and has the same server id ever after', async () => {
    const directory = `${root}/a/b/data`
    const first = await DataDirectory.open(directory, runtime)
    expect(first.serverId).toMatch(/^[0-9a-f]{16}$/)
    await first.release()
    const second = await DataDirectory.open(`${directory}/`, runtime)
    expect(second.serverId).toBe(first.serverId)
    await second.release()
    expect(await fs.readFile(`${directory}/FORMAT`, 'utf8')).toBe('delos 1\n')
  })

  it('is held by one process at a time, which is named', async () => {
    const holder = await DataDirectory.open(root, runtime)
    expect(await refusal(DataDirectory.open(root, runtime))).toBe(`IN_USE: ROOT is in use by process ${process.pid}`)
    await holder.release()
    await (await DataDirectory.open(root, runtime)).release()
  })

  it('of a newer version is refused', async () => {
    await fs.writeFile(`${root}/FORMAT`, 'delos 2\n')
    const message = 'FORMAT: ROOT has format 2 of a newer version, this one reads up to 1'
    expect(await refusal(DataDirectory.open(root, runtime))).toBe(message)
  })

  it('is never made of a directory that holds other things, and nothing is written there', async () => {
    await fs.writeFile(`${root}/thesis.txt`, '')
    const message = 'FORMAT: ROOT is not a data directory: it holds thesis.txt and no FORMAT file'
    expect(await refusal(DataDirectory.open(root, runtime))).toBe(message)
    expect(await fs.readdir(root)).toEqual(['thesis.txt'])
    await fs.writeFile(`${root}/FORMAT`, 'something else')
    expect(await refusal(DataDirectory.open(root, runtime))).toBe('FORMAT: ROOT/FORMAT is not that of a data directory')
  })

  it('whose creation was cut off is completed', async () => {
    await fs.writeFile(`${root}/server-id.new`, 'torn')
    await fs.writeFile(`${root}/server-id`, '0123456789abcdef\n')
    const directory = await DataDirectory.open(root, runtime)
    expect(directory.serverId).toMatch(/^[0-9a-f]{16}$/)
    await directory.release()
  })

  it('that lost its server id is damaged', async () => {
    await (await DataDirectory.open(root, runtime)).release()
    await fs.rm(`${root}/server-id`)
    expect(await refusal(DataDirectory.open(root, runtime))).toMatch(/^CORRUPT/)
    await fs.writeFile(`${root}/server-id`, 'x')
    expect(await refusal(DataDirectory.open(root, runtime))).toMatch(/^CORRUPT/)
  })

  it('names the paths of its databases, and refuses names that are none', async () => {
    const directory = await DataDirectory.open(root, runtime)
    expect(await directory.database('zelos')).toEqual({
      directory: `${root}/zelos`,
      meta: `${root}/zelos/meta`,
      log: `${root}/zelos/log`,
      store: `${root}/zelos/store`,
    })
    await directory.database('counter')
    expect(await directory.databases()).toEqual(['counter', 'zelos'])
    for (const name of ['', '..', 'a/b', 'Upper', 'lock', 'server-id', '9', 'a'.repeat(32)]) {
      expect(await refusal(directory.database(name))).toMatch(/^INVALID_ARGUMENT/)
    }
    await directory.release()
  })
})

describe('an identity', () => {
  it('is drawn once, stored, read back and never overwritten', async () => {
    const identity = drawIdentity(runtime.random)
    expect(await readIdentity(runtime.disk, root)).toBe(undefined)
    await writeIdentity(runtime.disk, root, identity)
    expect(await readIdentity(runtime.disk, root)).toEqual(identity)
    expect(await refusal(writeIdentity(runtime.disk, root, drawIdentity(runtime.random)))).toMatch(/^CONFLICT/)
    expect(new Set(Object.values(identity)).size).toBe(3)
    expect(drawIdentity(runtime.random, identity.clusterId).clusterId).toBe(identity.clusterId)
  })

  it('is drawn for a database without anything, and missed in one that has parts', async () => {
    const directory = await DataDirectory.open(root, runtime)
    const paths = await directory.database('zelos')
    const identity = await openIdentity(paths, runtime)
    await fs.mkdir(paths.log)
    expect(await openIdentity(paths, runtime)).toEqual(identity)
    await fs.rm(`${paths.directory}/identity`)
    expect(await refusal(openIdentity(paths, runtime))).toBe('CORRUPT: ROOT/zelos holds ROOT/zelos/log and no identity')
    await directory.release()
  })

  it('has this stored form', () => {
    const [clusterId, databaseId, historyId] = ['1', '2', '3'].map((digit) => digit.repeat(32)) as [
      string,
      string,
      string,
    ]
    const text = `identity 1\ncluster ${clusterId}\ndatabase ${databaseId}\nhistory ${historyId}\n`
    expect(encodeIdentity({ clusterId, databaseId, historyId }).toString()).toBe(text)
    expect(decodeIdentity(Buffer.from(text), 'x')).toEqual({ clusterId, databaseId, historyId })
  })

  it('refuses damage, newer forms, and another identity, saying which id differs', async () => {
    const identity = drawIdentity(runtime.random)
    const text = encodeIdentity(identity).toString()
    const decoded = (changed: string) =>
      refusal(Promise.resolve().then(() => decodeIdentity(Buffer.from(changed), 'x')))
    expect(await decoded('')).toBe('CORRUPT: x is no identity')
    expect(await decoded(text.replace(identity.databaseId, 'zz'))).toBe('CORRUPT: x has no readable database id')
    expect(await decoded(text.replace('identity 1', 'identity 2'))).toMatch(/^FORMAT/)
    const other = { ...identity, historyId: '0'.repeat(32) }
    const compared = refusal(Promise.resolve().then(() => checkIdentity(identity, other, 'the log')))
    expect(await compared).toBe(
      `MISMATCH: the log belongs to history ${other.historyId}, not to history ${identity.historyId}`,
    )
    checkIdentity(identity, { ...identity }, 'the log')
  })
})

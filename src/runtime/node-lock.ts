// An exclusive lock as a file that names its holder, since Node has no flock. A holder that ended, however it ended, holds
// nothing; taking over from it is safe against any number of processes that try at the same time.
//
// The file appears complete (linked from a temporary one) and its content X, unique per acquisition, changes in two ways
// only: its holder, alive, removes it; or, its holder being dead, whoever holds the lock `<path>.<X>` replaces it. That
// second lock is of the same kind, so a taker that dies half way is taken over from as well. Holding it and seeing X still
// in place, nobody else can change the file before the rename.
//
// Not covered: processes that cannot see each other's process ids (two containers on one volume, two machines on NFS).

import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import type { DiskLock } from './disk.ts'
import { diskError, errnoOf } from './node-disk-error.ts'
import { isRunning, ownIdentity, type ProcessIdentity } from './node-process.ts'

interface Holder extends ProcessIdentity {
  readonly nonce: string
}

// What a file without a readable holder counts as: only a power failure leaves one, so nobody holds it.
const UNREADABLE: Holder = { pid: 0, bootId: 'unreadable', start: '', nonce: 'unreadable' }
const ATTEMPTS_MAX = 100

/** Takes the lock at `path`; undefined if a running process, this one included, holds it or is taking it. */
export async function takeNodeLock(path: string): Promise<DiskLock | undefined> {
  const holder: Holder = { ...(await ownIdentity()), nonce: randomBytes(12).toString('hex') }
  const taken = await attempt(path, () => take(path, holder))
  return taken ? new NodeLock(path, holder.nonce) : undefined
}

class NodeLock implements DiskLock {
  private readonly path: string
  private readonly nonce: string
  private released: Promise<void> | undefined

  constructor(path: string, nonce: string) {
    this.path = path
    this.nonce = nonce
  }

  release(): Promise<void> {
    this.released ??= attempt(this.path, () => removeOwn(this.path, this.nonce))
    return this.released
  }
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw diskError(error, 'lock', path)
  }
}

async function take(path: string, own: Holder): Promise<boolean> {
  const temporary = `${path}.${own.nonce}.new`
  await fs.writeFile(temporary, `${JSON.stringify(own)}\n`, { flag: 'wx', mode: 0o600 })
  try {
    // A round ends undecided only because another taker made progress, so many in a row mean that it is contended.
    for (let round = 0; round < ATTEMPTS_MAX; round++) {
      if (await linked(temporary, path)) return true
      const other = await holderOf(path)
      if (other === undefined) continue
      if (await isRunning(other)) return false
      const outcome = await takeOver(path, temporary, own, other)
      if (outcome !== 'changed') return outcome === 'taken'
    }
    return false
  } finally {
    await fs.rm(temporary, { force: true })
  }
}

async function takeOver(
  path: string,
  temporary: string,
  own: Holder,
  dead: Holder,
): Promise<'taken' | 'contended' | 'changed'> {
  const guard = `${path}.${dead.nonce}`
  if (!(await take(guard, own))) return 'contended'
  try {
    const now = await holderOf(path)
    if (now?.nonce !== dead.nonce) return 'changed'
    await fs.rename(temporary, path)
    return 'taken'
  } finally {
    await removeOwn(guard, own.nonce)
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await fs.link(from, to)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Who holds the lock, dead or alive; undefined if the file is gone. */
async function holderOf(path: string): Promise<Holder | undefined> {
  let text: string
  try {
    text = await fs.readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const parsed = JSON.parse(text) as Partial<Holder> | null
    const { pid, bootId, start, nonce } = parsed ?? {}
    if (typeof pid !== 'number' || typeof bootId !== 'string' || typeof start !== 'string') return UNREADABLE
    return typeof nonce === 'string' && /^[0-9a-f]+$/.test(nonce) ? { pid, bootId, start, nonce } : UNREADABLE
  } catch {
    // Not JSON: torn by a power failure.
    return UNREADABLE
  }
}

async function removeOwn(path: string, nonce: string): Promise<void> {
  const holder = await holderOf(path)
  if (holder?.nonce === nonce) await fs.unlink(path)
}

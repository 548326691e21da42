// A simulated file system: names, directories, and which of them are safe on the device. No time passes here, and no faults
// but the loss of power; SimDisk adds both.

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { SimFile, type Survival } from './sim-file.ts'

/** A directory: its names now, and its names on the device. */
class SimDirectory {
  readonly kind = 'directory'
  current = new Map<string, SimNode>()
  durable = new Map<string, SimNode>()
}

type SimNode = SimFile | SimDirectory

interface Place {
  readonly directory: SimDirectory
  readonly name: string
}

/** An unsynced change of names; a rename both removes and adds. Kept or lost as a whole. */
interface NameChange {
  readonly node: SimNode
  readonly removes?: Place
  readonly adds?: Place
}

/** What a crash did to what was not synced. */
export interface CrashReport {
  readonly filesWithLoss: number
  readonly namesLost: number
}

const SURVIVALS: readonly Survival[] = ['none', 'all', 'prefix', 'sectors']

/** The content of one machine's disk. Paths use `/`; absolute and relative ones mean the same. */
export class SimFileSystem {
  private readonly root = new SimDirectory()
  private changes: NameChange[] = []
  private readonly allFiles = new Set<SimFile>()
  capacityBytes: number

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes
  }

  /** What a removed name held is free at once, though a crash may bring it back. */
  get freeBytes(): number {
    return Math.max(0, this.capacityBytes - allocatedBelow(this.root))
  }

  exists(path: string): boolean {
    return this.find(path) !== undefined
  }

  file(path: string): SimFile {
    const node = this.find(path)
    if (node === undefined) throw new DelosError('NOT_FOUND', `open ${path}: no such file`)
    if (node.kind !== 'file') throw new DelosError('IO_ERROR', `open ${path}: it is a directory`)
    return node
  }

  createFile(path: string): SimFile {
    const place = this.placeOf(path)
    if (place.directory.current.has(place.name)) throw new DelosError('CONFLICT', `create ${path}: it exists`)
    const file = new SimFile()
    this.allFiles.add(file)
    this.change({ node: file, adds: place })
    return file
  }

  list(path: string): string[] {
    return [...this.directory(path).current.keys()].sort()
  }

  makeDirectory(path: string): void {
    let directory = this.root
    for (const name of partsOf(path)) {
      const node = directory.current.get(name)
      if (node?.kind === 'file') throw new DelosError('CONFLICT', `make ${path}: ${name} is a file`)
      const next = node ?? new SimDirectory()
      if (node === undefined) this.change({ node: next, adds: { directory, name } })
      directory = next
    }
  }

  rename(from: string, to: string): void {
    const removes = this.placeOf(from)
    const adds = this.placeOf(to)
    const node = removes.directory.current.get(removes.name)
    if (node === undefined) throw new DelosError('NOT_FOUND', `rename ${from}: no such name`)
    const replaced = adds.directory.current.get(adds.name)
    if (replaced === node) return
    if (replaced !== undefined && !isReplaceable(node, replaced)) {
      throw new DelosError('IO_ERROR', `rename ${from} to ${to}: that is in the way`)
    }
    this.change({ node, removes, adds })
    this.forgetUnreachable()
  }

  remove(path: string): void {
    const node = this.find(path)
    if (node === undefined) return
    if (node.kind === 'directory' && node.current.size > 0) {
      throw new DelosError('IO_ERROR', `remove ${path}: the directory is not empty`)
    }
    this.change({ node, removes: this.placeOf(path) })
    this.forgetUnreachable()
  }

  /** The names of a directory are safe: the changes to it, and those before that they build on. */
  syncDirectory(path: string): void {
    const directory = this.directory(path)
    const nodes = new Set<SimNode>()
    const kept: NameChange[] = []
    const safe: NameChange[] = []
    for (const change of this.changes.toReversed()) {
      if (touches(change, directory) || nodes.has(change.node)) {
        nodes.add(change.node)
        safe.push(change)
      } else kept.push(change)
    }
    for (const change of safe.reverse()) makeDurable(change)
    this.changes = kept.reverse()
  }

  /** Power is lost: every file and the names each keep a random part of what was not synced. */
  crash(random: SeededRandom): CrashReport {
    const namesLost = this.crashNames(random)
    this.forgetUnreachable()
    let filesWithLoss = 0
    for (const file of this.allFiles) {
      if (file.crash(random.pick(SURVIVALS), random)) filesWithLoss++
    }
    return { filesWithLoss, namesLost }
  }

  private crashNames(random: SeededRandom): number {
    const survival = random.pick(SURVIVALS)
    const prefix = random.below(this.changes.length + 1)
    const lost = new Set<SimNode>()
    let namesLost = 0
    this.changes.forEach((change, index) => {
      const isKept =
        survival === 'all' ||
        (survival === 'prefix' && index < prefix) ||
        (survival === 'sectors' && random.chance(0.5))
      // What builds on a lost change is lost with it.
      if (isKept && !lost.has(change.node)) makeDurable(change)
      else {
        lost.add(change.node)
        namesLost++
      }
    })
    this.changes = []
    resetToDurable(this.root)
    return namesLost
  }

  private change(change: NameChange): void {
    const { node, removes, adds } = change
    if (removes) removes.directory.current.delete(removes.name)
    if (adds) adds.directory.current.set(adds.name, node)
    this.changes.push(change)
  }

  private directory(path: string): SimDirectory {
    const node = this.find(path)
    if (node === undefined) throw new DelosError('NOT_FOUND', `${path}: no such directory`)
    if (node.kind !== 'directory') throw new DelosError('IO_ERROR', `${path}: not a directory`)
    return node
  }

  private find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.root
    for (const name of partsOf(path)) {
      if (node?.kind !== 'directory') return undefined
      node = node.current.get(name)
    }
    return node
  }

  private placeOf(path: string): Place {
    const parts = partsOf(path)
    const name = parts.pop()
    assert(name !== undefined, 'the root directory has no name')
    return { directory: this.directory(parts.join('/')), name }
  }

  // Drops files that neither a name now nor one on the device leads to. (Open handles keep them readable.)
  private forgetUnreachable(): void {
    const seen = new Set<SimNode>()
    const visit = (node: SimNode): void => {
      if (seen.has(node)) return
      seen.add(node)
      if (node.kind === 'file') return
      for (const child of node.current.values()) visit(child)
      for (const child of node.durable.values()) visit(child)
    }
    visit(this.root)
    for (const change of this.changes) visit(change.node)
    for (const file of this.allFiles) if (!seen.has(file)) this.allFiles.delete(file)
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

function allocatedBelow(directory: SimDirectory): number {
  let bytes = 0
  for (const node of directory.current.values()) {
    bytes += node.kind === 'file' ? node.allocatedBytes : allocatedBelow(node)
  }
  return bytes
}

function touches(change: NameChange, directory: SimDirectory): boolean {
  return change.adds?.directory === directory || change.removes?.directory === directory
}

function isReplaceable(node: SimNode, replaced: SimNode): boolean {
  return node.kind === replaced.kind && (replaced.kind === 'file' || replaced.current.size === 0)
}

function makeDurable({ node, removes, adds }: NameChange): void {
  if (removes && removes.directory.durable.get(removes.name) === node) removes.directory.durable.delete(removes.name)
  if (adds) adds.directory.durable.set(adds.name, node)
}

function resetToDurable(directory: SimDirectory): void {
  directory.current = new Map(directory.durable)
  for (const node of directory.current.values()) if (node.kind === 'directory') resetToDurable(node)
}

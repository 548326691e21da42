// The tables that there are, compiled: derived from the stored descriptors, changed only in apply of schema changes. Not here:
// which changes are allowed (schema/evolution.ts).

import { DelosError } from '../../base/delos-error.ts'
import type { ReadTx, ReadWriteTx } from '../../store/local-store.ts'
import { CompiledTable } from '../codec/compiled-table.ts'
import { descriptorKey, descriptorRange } from '../codec/table-keys.ts'
import { fromTaggedJson, toTaggedJson } from '../codec/tagged-json.ts'
import type { TableDescriptor } from '../schema/descriptor.ts'

export class Catalog {
  private readonly byId = new Map<number, CompiledTable>()
  private readonly byName = new Map<string, CompiledTable>()
  private loaded = false
  private changeCount = 0

  /** Reads the descriptors, the first time. */
  load(reader: ReadTx): void {
    if (this.loaded) return
    this.loaded = true
    for (const [, bytes] of reader.scan(descriptorRange())) {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
      this.add(new CompiledTable(fromTaggedJson(text) as TableDescriptor))
    }
  }

  get size(): number {
    return this.byId.size
  }

  /** How often a table was made, changed or dropped here: after each there may be something to build or to remove. */
  get changes(): number {
    return this.changeCount
  }

  tables(): Iterable<CompiledTable> {
    return this.byId.values()
  }

  byIdOf(id: number): CompiledTable | undefined {
    return this.byId.get(id)
  }

  find(name: string): CompiledTable | undefined {
    return this.byName.get(name)
  }

  /** Throws UNKNOWN_TABLE. */
  table(name: string): CompiledTable {
    const table = this.byName.get(name)
    if (table !== undefined) return table
    const names = [...this.byName.keys()].sort()
    const has = names.length === 0 ? 'there are none' : `there are ${names.slice(0, 20).join(', ')}`
    throw new DelosError('UNKNOWN_TABLE', `no table ${name}: ${has}; create it with \`migrate\``)
  }

  /** In apply: a new table, or a new version of one. */
  put(tx: ReadWriteTx, descriptor: TableDescriptor): CompiledTable {
    tx.put(descriptorKey(descriptor.id), Buffer.from(toTaggedJson(descriptor)))
    const compiled = new CompiledTable(descriptor)
    this.changeCount++
    this.remove(descriptor.id)
    this.add(compiled)
    return compiled
  }

  /** In apply: the table is gone. */
  drop(tx: ReadWriteTx, id: number): void {
    tx.delete(descriptorKey(id))
    this.changeCount++
    this.remove(id)
  }

  /** Forgets what is derived from the store. */
  clear(): void {
    this.byId.clear()
    this.byName.clear()
    this.loaded = false
  }

  private add(table: CompiledTable): void {
    this.byId.set(table.id, table)
    this.byName.set(table.name, table)
  }

  private remove(id: number): void {
    const before = this.byId.get(id)
    if (before === undefined) return
    this.byId.delete(id)
    this.byName.delete(before.name)
  }
}

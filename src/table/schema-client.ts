// Schemas as a program changes them: from definitions to steps through the log, and what there is.

import { DelosError } from '../base/delos-error.ts'
import { requireKnown } from './codec/check-request.ts'
import type { SchemaAnswer, TableDescription } from './messages.ts'
import type { AnyTable } from './schema/define-table.ts'
import type { SchemaChange } from './schema/evolution.ts'
import { type MigrationHints, planMigration } from './schema/migration-plan.ts'
import { shapeOf } from './schema/table-shape.ts'
import type { TableDatabase } from './table-database.ts'

const HINT_MEMBERS: ReadonlySet<string> = new Set(['rename', 'renamedFrom', 'drop'])
const TRIES = 5

export class SchemaClient {
  private readonly database: TableDatabase

  constructor(database: TableDatabase) {
    this.database = database
  }

  /** Names of all tables. */
  async names(): Promise<readonly string[]> {
    await this.synced()
    return this.database.tableNames()
  }

  /** Rejects with UNKNOWN_TABLE. */
  async describe(table: AnyTable | string): Promise<TableDescription> {
    await this.synced()
    return this.database.describe(nameOf(table))
  }

  /** See Tables.migrate. */
  async migrate(table: AnyTable, hints: MigrationHints = {}): Promise<TableDescription> {
    requireKnown(hints, HINT_MEMBERS, 'a migration')
    const shape = shapeOf(table)
    for (let left = TRIES; left > 0; left--) {
      await this.synced()
      const current = this.database.descriptor(hints.renamedFrom ?? shape.name) ?? this.database.descriptor(shape.name)
      const renames =
        current?.name === shape.name ? { ...hints, rename: leftToRename(current.name, hints, this.database) } : hints
      const changes = planMigration(current, shape, renames)
      if (changes.length === 0) return this.database.describe(shape.name)
      const answer = await this.change(current?.name ?? shape.name, current?.version ?? 0, changes)
      if (answer.kind === 'changed') return this.database.describe(shape.name)
    }
    throw new DelosError('CONFLICT', `table ${shape.name} was changed by others ${TRIES} times meanwhile`)
  }

  /** Resolves when all indexes of the table are readable. Rejects with INDEX_NOT_READY if one found duplicates. */
  async ready(table: AnyTable | string): Promise<TableDescription> {
    await this.synced()
    for (;;) {
      const description = this.database.describe(nameOf(table))
      const failed = description.indexes.find(({ state }) => state === 'failed')
      if (failed !== undefined) {
        const found = `index ${failed.index} of table ${description.name} found duplicates, ${failed.violations.length} listed`
        throw new DelosError('INDEX_NOT_READY', `${found}: mend the rows, then \`rebuildIndex\``)
      }
      if (description.indexes.every(({ state }) => state === 'ready')) return description
      if (this.database.stopped) throw new DelosError('CLOSED', 'the database is closed')
      await this.database.nextCommit()
    }
  }

  /** Builds an index again whose building found duplicates. */
  async rebuildIndex(table: AnyTable | string, index: string): Promise<void> {
    await this.one(nameOf(table), { kind: 'rebuildIndex', name: index })
  }

  /** The table and its rows are gone. */
  async drop(table: AnyTable | string): Promise<void> {
    await this.one(nameOf(table), { kind: 'dropTable' })
  }

  private async one(name: string, change: SchemaChange): Promise<void> {
    for (let left = TRIES; left > 0; left--) {
      await this.synced()
      const { version } = this.database.table(name)
      if ((await this.change(name, version, [change])).kind === 'changed') return
    }
    throw new DelosError('CONFLICT', `table ${name} was changed by others ${TRIES} times meanwhile`)
  }

  private async change(table: string, version: number, changes: readonly SchemaChange[]): Promise<SchemaAnswer> {
    const answer = await this.database.changeSchema({ table, version, changes })
    if (answer.kind === 'forbidden') throw new DelosError('SCHEMA_FORBIDDEN', `table ${table}: ${answer.reason}`)
    return answer
  }

  private synced(): Promise<unknown> {
    return this.database.read('linearizable', () => undefined)
  }
}

function nameOf(table: AnyTable | string): string {
  return typeof table === 'string' ? table : table.name
}

/** A migration that ran before has renamed already: what is not there any more needs no new name. */
function leftToRename(name: string, { rename = {} }: MigrationHints, database: TableDatabase): Record<string, string> {
  const columns = new Set(
    database.descriptor(name)?.columns.flatMap((column) => (column.until === undefined ? [column.name] : [])),
  )
  return Object.fromEntries(Object.entries(rename).filter(([from]) => columns.has(from)))
}

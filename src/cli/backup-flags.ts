// The flags of commands that read a backup: where it is, whose it is, how it is decrypted. Also how they show that they go on.

import { type Command, InvalidArgumentError } from 'commander'
import { backupPlace } from '../node/backup-settings.ts'
import type { BackupPlace } from '../node/open-blob-store.ts'

export interface BackupFlags {
  readonly from: string
  readonly endpoint?: string
  readonly region?: string
  readonly keyFile?: string
  readonly acceptClear?: boolean
  readonly database: string
  readonly history?: string
  readonly json?: boolean
}

/** As the settings of `serve`, without `backup-`. */
export function withBackupFlags(command: Command, needed = true): Command {
  const from = '--from <place>'
  const help = 'where the backup is: dir:PATH or s3://BUCKET/PREFIX'
  const withFrom = needed ? command.requiredOption(from, help, place) : command.option(from, help, place)
  return withFrom
    .option('--endpoint <url>', "of an S3-compatible service (default: Amazon's own)")
    .option('--region <name>', 'of the bucket (default us-east-1)')
    .option('--key-file <file>', 'what the backup is encrypted with')
    .option('--accept-clear', 'with a key, also read what is not encrypted: of the time before there was one')
    .option('--history <id>', 'one of several histories; its first digits will do (default: the newest)')
}

function place(text: string): string {
  if (backupPlace.schema.safeParse(text).success) return text
  throw new InvalidArgumentError(`${backupPlace.allowed} is expected`)
}

export function placeOf({ acceptClear, endpoint, from, keyFile, region }: BackupFlags): BackupPlace {
  return { location: from, endpoint, region, keyFile, acceptClear }
}

const BAR_CHARS = 30

/** On stderr: a bar where a person looks on, a line of JSON per step where a program does, else nothing. */
export class ProgressBar {
  private readonly json: boolean
  private last = ''
  private drawn = false

  constructor(json: boolean) {
    this.json = json
  }

  show(what: string, done: number, of: number): void {
    const percent = of === 0 ? 100 : Math.floor((100 * done) / of)
    const state = `${what} ${percent}`
    if (state === this.last) return
    this.last = state
    if (this.json) process.stderr.write(`${JSON.stringify({ phase: what, done, of })}\n`)
    else if (process.stderr.isTTY) {
      const filled = Math.round((BAR_CHARS * percent) / 100)
      const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_CHARS - filled)}`
      process.stderr.write(`\r${what.padEnd(10)} [${bar}] ${String(percent).padStart(3)} %`)
      this.drawn = true
    }
  }

  end(): void {
    if (this.drawn) process.stderr.write('\n')
    this.drawn = false
  }
}

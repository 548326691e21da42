import { describe, expect, it } from 'vitest'
import { readGolden } from '../../../test/support/golden.ts'
import { controlEntry } from '../../engine/entry.ts'
import { decodeEntry, encodeEntry } from '../../engine/entry-codec.ts'
import type { LogPos } from '../../log/position.ts'
import { type BackupMessage, decodeBackupMessage, encodeBackupMessage } from './backup-message.ts'

const serverId = '3f9a2c'
const at = (position: number): LogPos => position as LogPos

const MESSAGES: readonly BackupMessage[] = [
  { kind: 'begin', serverId, historyId: '0123456789abcdef0123456789abcdef', wallMs: 1_790_000_000_000 },
  { kind: 'claim', serverId, from: at(70_000), to: at(80_000) },
  { kind: 'progress', serverId, claim: at(80_001) },
  { kind: 'done', serverId, claim: at(80_001), bytes: 8_388_608 },
  { kind: 'takeover', serverId, claim: at(80_001), lastHeard: at(80_050) },
  { kind: 'snapshot', serverId },
  { kind: 'kept', serverId, claim: at(9), cursor: at(80_002), wallMs: 1_790_000_000_001, rows: 12, bytes: 3_456 },
  { kind: 'abandon', serverId, claim: at(9) },
  { kind: 'skip', serverId, from: at(7), to: at(80_000), wallMs: 1_790_000_000_002, reason: 'no upload for 86400 s' },
  { kind: 'forget', serverId, below: at(80_002) },
]

describe("LogBackup's header", () => {
  it.each(MESSAGES.map((message) => [message.kind, message] as const))(
    'of %s is written and read as the stored format has it, for ever',
    (kind, message) => {
      const bytes = encodeEntry(controlEntry('log-backup', encodeBackupMessage(message)))
      expect(bytes.toString('hex')).toBe(readGolden(`entries/backup-${kind}.hex`))
      const header = decodeEntry(bytes).headers.get('log-backup')
      expect(decodeBackupMessage(header?.bytes as Uint8Array)).toEqual(message)
    },
  )

  it('of a newer format or an unknown kind is refused, and one with more behind it too', () => {
    for (const bytes of [
      [16, 2],
      [40, 1],
    ]) {
      expect(() => decodeBackupMessage(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: 'FORMAT' }))
    }
    const longer = Buffer.concat([encodeBackupMessage(MESSAGES[5] as BackupMessage), Buffer.from([0])])
    expect(() => decodeBackupMessage(longer)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})

// The least log that survives crashes: the "disk" workload's stand-in for the product, and an example of a right use of Disk.
// Records with a checksum in numbered segments; one write and one sync a commit.

import { crc32 } from 'node:zlib'
import type { Disk, DiskFile } from '../../runtime/disk.ts'

const HEADER_BYTES = 8
const RECORDS_PER_SEGMENT = 25

interface Segment {
  readonly file: DiskFile
  records: number
  bytes: number
}

/** What recovery found. */
export interface Recovered {
  readonly log: TinyLog
  readonly records: readonly string[]
  readonly tornTail: boolean
}

/** A list of texts, durable once `commit` resolved. One call at a time; after a failure other than DISK_FULL, open anew. */
export class TinyLog {
  private readonly disk: Disk
  private readonly directory: string
  private segment: Segment
  private segmentNumber: number

  private constructor(disk: Disk, directory: string, segment: Segment, segmentNumber: number) {
    this.disk = disk
    this.directory = directory
    this.segment = segment
    this.segmentNumber = segmentNumber
  }

  /** Opens the log in `directory`, creating it if needed, and makes all that it finds durable before it tells. */
  static async open(disk: Disk, directory: string): Promise<Recovered> {
    await disk.makeDir(directory)
    await disk.syncDir('/')
    const names = await disk.list(directory)
    const records: string[] = []
    let tornTail = false
    let last: Segment | undefined
    for (const name of names) {
      if (tornTail) throw new Error(`segment ${name} follows a torn one`)
      const file = await disk.open(`${directory}/${name}`, 'update')
      const found = await recover(file)
      tornTail = found.torn
      records.push(...found.records)
      last = { file, records: found.records.length, bytes: found.bytes.length }
      // Once a sync failed, the system may show bytes that the device never took, and believe them safe: write them again.
      if (name === names.at(-1)) await file.write(found.bytes, 0)
    }
    const segmentNumber = Math.max(1, names.length)
    const segment = last ?? (await createSegment(disk, directory, segmentNumber))
    // A process that was killed may have left names and bytes that no sync covers.
    await segment.file.sync()
    await disk.syncDir(directory)
    return { log: new TinyLog(disk, directory, segment, segmentNumber), records, tornTail }
  }

  /** Appends these records and makes them durable, all in one segment. On DISK_FULL nothing happened; it may be tried again. */
  async commit(texts: readonly string[]): Promise<void> {
    if (this.segment.records >= RECORDS_PER_SEGMENT) await this.rotate()
    const { segment } = this
    const bytes = Buffer.concat(texts.map(encode))
    await segment.file.write(bytes, segment.bytes)
    await segment.file.sync()
    segment.bytes += bytes.length
    segment.records += texts.length
  }

  private async rotate(): Promise<void> {
    const segment = await createSegment(this.disk, this.directory, this.segmentNumber + 1)
    await this.disk.syncDir(this.directory)
    this.segmentNumber++
    this.segment = segment
  }
}

async function createSegment(disk: Disk, directory: string, number: number): Promise<Segment> {
  const file = await disk.open(`${directory}/${String(number).padStart(6, '0')}`, 'create')
  return { file, records: 0, bytes: 0 }
}

/** Reads records up to the first that is not whole, and cuts the rest. */
async function recover(file: DiskFile): Promise<{ records: string[]; bytes: Buffer; torn: boolean }> {
  const size = await file.size()
  const content = Buffer.alloc(size)
  await file.read(content, 0)
  const records: string[] = []
  let at = 0
  for (;;) {
    const text = decode(content, at)
    if (text === undefined) break
    records.push(text)
    at += HEADER_BYTES + Buffer.byteLength(text)
  }
  if (at < size) await file.truncate(at)
  return { records, bytes: content.subarray(0, at), torn: at < size }
}

function encode(text: string): Buffer {
  const body = Buffer.from(text)
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(body.length, 0)
  header.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([header, body])
}

function decode(content: Buffer, at: number): string | undefined {
  if (at + HEADER_BYTES > content.length) return undefined
  const length = content.readUInt32BE(at)
  const end = at + HEADER_BYTES + length
  if (length === 0 || end > content.length) return undefined
  const body = content.subarray(at + HEADER_BYTES, end)
  return crc32(body) === content.readUInt32BE(at + 4) ? body.toString() : undefined
}

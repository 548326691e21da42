// The text of ZooKeeper's quota nodes, `count=4,bytes=100;byteHardLimit=200;countHardLimit=8`: limits in one, what is there in
// the other. Pure functions.

/** What a node `zookeeper_limits` or `zookeeper_stats` says; -1 where it says nothing. */
export interface QuotaNumbers {
  readonly count: number
  readonly bytes: number
  readonly countHardLimit: number
  readonly byteHardLimit: number
}

const UNSET = -1

/** Reads any data; what can't be understood counts as not said. */
export function parseQuota(data: Uint8Array | null): QuotaNumbers {
  const said = new Map<string, number>()
  const text = data === null ? '' : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')
  for (const pair of text.split(/[,;]+/)) {
    const [name, value = ''] = pair.split('=')
    if (name !== undefined && /^[+-]?\d{1,15}$/.test(value)) said.set(name, Number(value))
  }
  return {
    count: said.get('count') ?? UNSET,
    bytes: said.get('bytes') ?? UNSET,
    countHardLimit: said.get('countHardLimit') ?? UNSET,
    byteHardLimit: said.get('byteHardLimit') ?? UNSET,
  }
}

/** The data of a node `zookeeper_stats`. */
export function quotaStats(count: number, bytes: number): Buffer {
  return Buffer.from(`count=${count},bytes=${bytes}`)
}

/** A limit that an update goes beyond. */
export interface ExceededLimit {
  readonly what: 'count' | 'bytes'
  readonly isHard: boolean
  readonly limit: number
  /** With the update. */
  readonly value: number
}

/** The limits that are exceeded after such a change; a hard one hides the soft one, and what does not change is not looked at. */
export function exceededLimits(
  limits: QuotaNumbers,
  stats: QuotaNumbers,
  countDiff: number,
  bytesDiff: number,
): readonly ExceededLimit[] {
  const exceeded: ExceededLimit[] = []
  const look = (what: 'count' | 'bytes', diff: number, hardLimit: number): void => {
    const isHard = hardLimit > UNSET
    const limit = isHard ? hardLimit : limits[what]
    const value = stats[what] + diff
    if (diff !== 0 && limit > UNSET && value > limit) exceeded.push({ what, isHard, limit, value })
  }
  look('count', countDiff, limits.countHardLimit)
  look('bytes', bytesDiff, limits.byteHardLimit)
  return exceeded
}

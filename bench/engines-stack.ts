// What a running server's Observers say of its engines, over its HTTP API.

/** One layer's own share, bottom to top: the difference of the Observers below and above it. */
export type StackShare = {
  readonly name: string
  readonly proposeUs: number
  readonly applyUs: number
  /** 0 to 1. */
  readonly applyUtilisation: number
}

export type StackReading = { readonly applyUtilisation: number; readonly shares: readonly StackShare[] }

export async function readStack(api: string): Promise<StackReading> {
  const response = await fetch(`http://${api}/v1/databases/zelos/stack`, { signal: AbortSignal.timeout(10_000) })
  const report = (await response.json()) as {
    applyUtilisation: number
    layers: { name: string; share: Omit<StackShare, 'name'> }[]
  }
  const shares = report.layers.map(({ name, share }) => ({ name, ...share }))
  return { applyUtilisation: report.applyUtilisation, shares }
}

// What the flags field of a create request means.

/** The properties of a node to be created. Only the seven combinations of `createMode` exist. */
export interface CreateMode {
  readonly flags: number
  readonly ephemeral: boolean
  readonly sequential: boolean
  readonly container: boolean
  readonly ttl: boolean
}

const PLAIN = { ephemeral: false, sequential: false, container: false, ttl: false }

/** Indexed by flags. */
const MODES: readonly CreateMode[] = [
  { ...PLAIN, flags: 0 },
  { ...PLAIN, flags: 1, ephemeral: true },
  { ...PLAIN, flags: 2, sequential: true },
  { ...PLAIN, flags: 3, ephemeral: true, sequential: true },
  { ...PLAIN, flags: 4, container: true },
  { ...PLAIN, flags: 5, ttl: true },
  { ...PLAIN, flags: 6, sequential: true, ttl: true },
]

/** The mode that `flags` stand for, or undefined if they stand for none (answered with badArguments). Flags are not bits. */
export function createMode(flags: number): CreateMode | undefined {
  return MODES[flags]
}

/** The flags of a mode, or undefined if the combination does not exist. */
export function createFlags(mode: Partial<Omit<CreateMode, 'flags'>>): number | undefined {
  const wanted = { ...PLAIN, ...mode }
  return MODES.find(
    (known) =>
      known.ephemeral === wanted.ephemeral &&
      known.sequential === wanted.sequential &&
      known.container === wanted.container &&
      known.ttl === wanted.ttl,
  )?.flags
}

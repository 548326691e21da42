// The bugs that a simulation can plant, by faulty parts in this folder, to show that it would find them in the product.

/** Every planted bug, and what the faulty part does. */
export const PLANTED_BUGS = {
  'no-sync': 'The disk says that a file is synced and does nothing.',
  'no-dir-sync': 'The disk says that a directory is synced and does nothing.',
  'ack-before-write': 'The loglet acknowledges an append before it is durable.',
  'seal-check-first': 'The loglet looks at its seal before the write that the seal should have stopped.',
  'cursor-outside-tx': 'The store writes the cursor in another batch than the data that it covers.',
  'layer-pushed-in-part': 'The store pushes a part of its committed layer to disk.',
} as const satisfies Record<string, string>

export type PlantedBug = keyof typeof PLANTED_BUGS

/** The bug of that name, if there is one. */
export function plantedBug(name: string): PlantedBug | undefined {
  return Object.hasOwn(PLANTED_BUGS, name) ? (name as PlantedBug) : undefined
}

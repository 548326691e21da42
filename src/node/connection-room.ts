// How many client connections leave the log and the store their files, when the system limits open files.

/** For segments, the store's tables, listeners, HTTP: without them no write is possible any more. */
const FILES_RESERVED = 256

/** `wanted`, or fewer if so many connections and the reserve (half of a small limit) are more files than may be open. */
export function connectionRoom(wanted: number, files: { readonly max: number } | undefined): number {
  // -1: unlimited.
  if (files === undefined || files.max < 0) return wanted
  return Math.min(wanted, files.max - Math.min(FILES_RESERVED, Math.ceil(files.max / 2)))
}

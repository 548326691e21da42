// What the file loglet, the file metastore and data directories need of a file system, and what they may rely on.
//
// A crash (SIGKILL of the machine) keeps: bytes of a file that a completed `sync` covers, and directory entries (created,
// renamed, removed names) that a completed `syncDir` of their directory covers. Everything else may be kept, lost, or, for
// the bytes of an unsynced write, kept in part and in any order of 512-byte sectors.

/** One open file. Calls on one file may overlap; the caller keeps overlapping ranges apart. */
export interface DiskFile {
  /** Bytes in the file now. */
  size(): Promise<number>
  /** Fills `into` from offset `at`; resolves with the count of bytes read, less than asked only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>
  /** Writes all of `bytes` at offset `at`, extending the file if needed. Not durable before `sync`. */
  write(bytes: Uint8Array, at: number): Promise<void>
  /** Makes every completed write durable, and the size. A rejected sync is final: what was unsynced is unknown for ever. */
  sync(): Promise<void>
  /** Cuts or extends (with zeros) to `size` bytes. Durable after `sync`. */
  truncate(size: number): Promise<void>
  close(): Promise<void>
}

/** An exclusive hold on a path that ends with the process, however that ends. */
export interface DiskLock {
  release(): Promise<void>
}

/**
 * A file system. Paths use `/`. Failures reject with DelosError: NOT_FOUND, CONFLICT (exclusive create of an existing
 * name), DISK_FULL (no space, no quota), OVERLOADED (too many open files; nothing was done), IO_ERROR
 * (anything else).
 */
export interface Disk {
  /**
   * `read`: existing file, read only. `update`: existing file, read and write. `create`: new file, fails if there is one;
   * its name is durable only after `syncDir` of the directory.
   */
  open(path: string, mode: 'read' | 'update' | 'create'): Promise<DiskFile>
  /** Names in a directory, sorted. */
  list(directory: string): Promise<string[]>
  exists(path: string): Promise<boolean>
  /** Creates a directory and its parents; no error if it is there. */
  makeDir(directory: string): Promise<void>
  /** Replaces `to` by `from` atomically. Durable after `syncDir`. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file or an empty directory; no error if it is not there. */
  remove(path: string): Promise<void>
  /** Makes the names in a directory durable. */
  syncDir(directory: string): Promise<void>
  /** Free bytes on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>
  /** Takes an exclusive lock on a file, creating it; resolves with undefined if another process (or caller) holds it. */
  lock(path: string): Promise<DiskLock | undefined>
}

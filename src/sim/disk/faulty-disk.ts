// Disks with a planted bug, as proof that the simulator finds it.

import type { Disk, DiskFile } from '../../runtime/disk.ts'

/** `no-sync`: sync of a file does nothing. `no-dir-sync`: sync of a directory does nothing. Both claim that they did. */
export type DiskBug = 'no-sync' | 'no-dir-sync'

/** The same disk with that bug. */
export function faultyDisk(disk: Disk, bug: DiskBug): Disk {
  return {
    open: async (path, mode) => {
      const file = await disk.open(path, mode)
      return bug === 'no-sync' ? withoutSync(file) : file
    },
    list: (directory) => disk.list(directory),
    exists: (path) => disk.exists(path),
    makeDir: (directory) => disk.makeDir(directory),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDir: (directory) => (bug === 'no-dir-sync' ? Promise.resolve() : disk.syncDir(directory)),
    freeBytes: (path) => disk.freeBytes(path),
    lock: (path) => disk.lock(path),
  }
}

function withoutSync(file: DiskFile): DiskFile {
  return {
    size: () => file.size(),
    read: (into, at) => file.read(into, at),
    write: (bytes, at) => file.write(bytes, at),
    sync: () => Promise.resolve(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  }
}

// Opens the data directory, and tells a path that can't be one from a disk that fails.

import { DelosError } from '../base/delos-error.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { DataDirectory } from '../store/data-directory.ts'
import { mustBeRestored } from './restore/restore-marker.ts'

/** What the system says of a path that somebody has to correct. */
const PATH_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is not a directory',
  EEXIST: 'a part of the path is not a directory',
  ENOENT: 'a part of the path does not exist and cannot be made',
  ENAMETOOLONG: 'the path is too long',
  ELOOP: 'too many symbolic links',
}

/** See DataDirectory.open; rejects with INVALID_ARGUMENT if the path is of no use. */
export async function openDataDirectory(path: string, runtime: Runtime): Promise<DataDirectory> {
  try {
    return await DataDirectory.open(path, runtime)
  } catch (error) {
    const reason = PATH_ERRORS[errnoIn(error) ?? '']
    if (reason === undefined || (error instanceof DelosError && error.code === 'IN_USE')) throw error
    throw new DelosError('INVALID_ARGUMENT', `can't use ${path} as data directory: ${reason}`, { cause: error })
  }
}

/** As openDataDirectory, to serve from it: rejects with FORMAT if a restore into it has not ended. */
export async function openServingDirectory(path: string, runtime: Runtime): Promise<DataDirectory> {
  const directory = await openDataDirectory(path, runtime)
  try {
    await mustBeRestored(runtime.disk, path)
    return directory
  } catch (error) {
    await directory.release()
    throw error
  }
}

function errnoIn(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string' && code in PATH_ERRORS) return code
  }
  return undefined
}

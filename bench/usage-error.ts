// A command line that can't be meant; told in one line, exit code 2.
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

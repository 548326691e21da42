// Node's Buffer has these fast primitives on every supported version; its typings leave them out.

declare global {
  interface Buffer {
    utf8Slice(start: number, end: number): string
    latin1Slice(start: number, end: number): string
    utf8Write(text: string, offset?: number, length?: number): number
    latin1Write(text: string, offset?: number, length?: number): number
  }
}

export {}

// The bytes of a simulated file: sparse, so that preallocated segments cost nothing until written.

const PAGE_BYTES = 4096

/** A byte array with a size; what was never written reads as zeros and takes no memory. */
export class PagedBytes {
  private pages = new Map<number, Uint8Array>()
  private length = 0

  get size(): number {
    return this.length
  }

  /** Bytes of memory, and of the simulated device, that it takes. */
  get allocatedBytes(): number {
    return this.pages.size * PAGE_BYTES
  }

  /** Bytes that a write of this range would allocate. */
  bytesToAllocate(at: number, length: number): number {
    let missing = 0
    const end = at + length
    for (let page = Math.floor(at / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      if (!this.pages.has(page)) missing++
    }
    return missing * PAGE_BYTES
  }

  /** Fills `into` from `at`; the count of bytes read, less than asked at the end. */
  read(into: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(into.length, this.length - at))
    for (let done = 0; done < count; ) {
      const offset = (at + done) % PAGE_BYTES
      const part = Math.min(PAGE_BYTES - offset, count - done)
      const page = this.pages.get(Math.floor((at + done) / PAGE_BYTES))
      if (page === undefined) into.fill(0, done, done + part)
      else into.set(page.subarray(offset, offset + part), done)
      done += part
    }
    return count
  }

  /** Writes all of `bytes`, extending the size if needed. */
  write(bytes: Uint8Array, at: number): void {
    this.place(bytes, at)
    if (bytes.length > 0) this.length = Math.max(this.length, at + bytes.length)
  }

  /** Puts bytes without changing the size; those beyond it show once `resize` covers them. */
  place(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) {
      const offset = (at + done) % PAGE_BYTES
      const part = Math.min(PAGE_BYTES - offset, bytes.length - done)
      this.pageAt(Math.floor((at + done) / PAGE_BYTES)).set(bytes.subarray(done, done + part), offset)
      done += part
    }
  }

  /** Sets the size; all beyond it is zeros from now on. */
  resize(size: number): void {
    this.clearFrom(size)
    this.length = size
  }

  /** Makes all from `size` on zeros without changing the size. */
  clearFrom(size: number): void {
    const boundary = Math.floor(size / PAGE_BYTES)
    for (const index of [...this.pages.keys()]) {
      if (index > boundary || (index === boundary && size % PAGE_BYTES === 0)) this.pages.delete(index)
    }
    this.pages.get(boundary)?.fill(0, size % PAGE_BYTES)
  }

  copy(): PagedBytes {
    const copy = new PagedBytes()
    copy.length = this.length
    copy.pages = new Map([...this.pages].map(([index, page]) => [index, page.slice()]))
    return copy
  }

  private pageAt(index: number): Uint8Array {
    let page = this.pages.get(index)
    if (page === undefined) {
      page = new Uint8Array(PAGE_BYTES)
      this.pages.set(index, page)
    }
    return page
  }
}

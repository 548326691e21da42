// Columns of text for people.

/** Rows under a head, columns as wide as they need; a column whose head begins with a space is aligned to the right. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const titles = head.map((title) => title.trim())
  const widths = titles.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const width = widths[at] as number
        return head[at]?.startsWith(' ') ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [titles, ...rows].map(line).join('\n')
}

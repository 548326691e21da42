// What a server shows on /metrics, read as Prometheus reads it: a page that Prometheus would refuse is an error here too.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?/y

export class MetricsPage {
  readonly samples: readonly Sample[]

  constructor(text: string) {
    const typed = new Set<string>()
    const seen = new Set<string>()
    this.samples = text.split('\n').flatMap((line) => {
      const type = /^# TYPE (\S+) (counter|gauge|summary|histogram|untyped)$/.exec(line)?.[1]
      if (type !== undefined && typed.has(type)) throw new Error(`a second TYPE of ${type}`)
      if (type !== undefined) typed.add(type)
      if (line === '' || line.startsWith('#')) return []
      const sample = sampleOf(line)
      const series = line.slice(0, line.lastIndexOf(' '))
      if (seen.has(series)) throw new Error(`a second sample of ${series}`)
      seen.add(series)
      return [sample]
    })
  }

  static async of(port: number): Promise<MetricsPage> {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    const type = answer.headers.get('content-type') ?? ''
    if (!type.startsWith('text/plain')) throw new Error(`a page of type ${type}`)
    return new MetricsPage(await answer.text())
  }

  /** The samples of this very name. */
  named(name: string): readonly Sample[] {
    return this.samples.filter((sample) => sample.name === name)
  }

  /** Everything that a metric shows, its sums and counts too: to be compared. */
  state(name: string): string {
    const own = this.samples.filter(
      (sample) => sample.name.replace(/_(sum|count)$/, '') === name || sample.name === name,
    )
    return JSON.stringify(own.map(({ value }) => String(value)))
  }
}

function sampleOf(line: string): Sample {
  const [, name, text = '', value] = SAMPLE.exec(line) ?? []
  if (name === undefined || value === undefined) throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  for (let end = 0; end < text.length; end = LABEL.lastIndex) {
    const [, label, content] = LABEL.exec(text) ?? []
    if (label === undefined || content === undefined) throw new Error(`no label at ${end}: ${line}`)
    labels[label] = content
  }
  const number = value === 'Nan' || value === 'NaN' ? Number.NaN : Number(value.replace('Inf', 'Infinity'))
  if (Number.isNaN(number) && value.toLowerCase() !== 'nan') throw new Error(`no number: ${line}`)
  return { name, labels, value: number }
}

// The table of metrics: read at each scrape, of what there is then. That a real server's values arrive is in
// open-server.slow.test.ts.

import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { LatencyHistogram } from '../base/latency-histogram.ts'
import type { ZooKeeperServer } from '../zookeeper/zookeeper-server.ts'
import { metricsRoutes } from './metrics.ts'

async function scraper(zookeeper: () => ZooKeeperServer | undefined): Promise<() => Promise<string[]>> {
  const app = Fastify()
  metricsRoutes({ databases: new Map(), zelos: () => undefined, zookeeper })(app)
  return async () => {
    const { body } = await app.inject('/metrics')
    return body.split('\n').filter((line) => line.startsWith('delos_'))
  }
}

function times(...ms: number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const one of ms) histogram.record(one)
  return histogram
}

const NONE = times()

const server = (connections: number, limitsHit: Record<string, number>): ZooKeeperServer =>
  ({
    connections: new Set(Array.from({ length: connections }, (_, i) => i)),
    outstanding: 0,
    nowMs: () => 0,
    options: {},
    zelos: {
      stats: {},
      inspection: { watchersTold: { created: NONE, deleted: NONE, dataChanged: NONE, childrenChanged: NONE } },
    },
    stats: {
      connectionsAccepted: 7,
      latency: {},
      responses: {},
      readTimes: times(500),
      updateTimes: times(400, 600),
      limitsHit,
      closes: {},
    },
    access: { stats: { refusals: {} }, connections: {}, readOnly: {} },
  }) as unknown as ZooKeeperServer

describe('metrics', () => {
  it('are those of what there is at the moment of the scrape', async () => {
    let zookeeper: ZooKeeperServer | undefined
    const scrape = await scraper(() => zookeeper)
    expect(await scrape()).toContain('delos_zookeeper_connections 0')
    zookeeper = server(2, { watchesMax: 1, unsentBytesMax: 4 })
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'delos_zookeeper_connections 2',
        'delos_zookeeper_connections_total 7',
        'delos_zookeeper_request_seconds_total 1.5',
        'delos_zookeeper_limit_exceeded_total{limit="unsentBytesMax"} 4',
      ]),
    )
    // Neither added up from scrape to scrape, nor kept when it is gone.
    zookeeper = server(1, { watchesMax: 2 })
    const later = await scrape()
    expect(later).toContain('delos_zookeeper_connections_total 7')
    expect(later.filter((line) => /limit_exceeded|connections /.test(line))).toEqual([
      'delos_zookeeper_connections 1',
      'delos_zookeeper_limit_exceeded_total{limit="watchesMax"} 2',
    ])
  })
})

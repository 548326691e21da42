// The settings of what clients may make of the tree of nodes: TTL nodes, containers, quotas; how current their reads are; and who
// serves it.

import { DEFAULT_NODE_RULES } from '../zookeeper/server-options.ts'
import { host, milliseconds, optional, port, type Setting, yesOrNo } from './setting-kinds.ts'

/** In the order in which they are documented. */
export const NODE_SETTINGS = {
  ttlNodes: {
    name: 'ttl-nodes',
    ...yesOrNo,
    fallback: DEFAULT_NODE_RULES.ttlNodes,
    unit: 'true, false',
    help: "ZooKeeper's extendedTypesEnabled: clients may create nodes with a time to live",
  },
  containerCheckMs: {
    name: 'container-check-ms',
    ...milliseconds(1),
    fallback: DEFAULT_NODE_RULES.containerCheckMs,
    unit: 'ms',
    help: 'how long after its last child a container goes, for containers that are created from now on',
  },
  enforceQuota: {
    name: 'enforce-quota',
    ...yesOrNo,
    fallback: false,
    unit: 'true, false',
    help: "hard limits of ZooKeeper's quotas refuse updates; otherwise they only warn",
  },
  reconfigEnabled: {
    name: 'reconfig-enabled',
    ...yesOrNo,
    fallback: DEFAULT_NODE_RULES.reconfig,
    unit: 'true, false',
    help: 'reconfig is refused as by a standalone ZooKeeper (unimplemented), not as one that is switched off; it never does anything',
  },
  advertiseHost: {
    name: 'advertise-host',
    ...optional(host),
    fallback: undefined,
    unit: 'address',
    help: 'the name or address by which clients reach this server, told in /zookeeper/config; default: --host, unless that is one of this machine alone, or all',
  },
  linearizablePort: {
    name: 'linearizable-port',
    ...port,
    fallback: 'off',
    unit: 'port',
    help: 'a second port for ZooKeeper clients, whose reads see everything that had completed anywhere before: the log is asked first, one request of it for many reads; 0 = any free one, off = none',
  },
  linearizableReads: {
    name: 'linearizable-reads',
    ...yesOrNo,
    fallback: false,
    unit: 'true, false',
    help: 'the same for the clients of all ports',
  },
  zooCfgAlone: {
    name: 'zoo-cfg-alone',
    ...yesOrNo,
    fallback: false,
    unit: 'true, false',
    help: 'start although the file of --zoo-cfg names several servers: this one serves alone, what the others have it has not',
  },
} as const satisfies Record<string, Setting>

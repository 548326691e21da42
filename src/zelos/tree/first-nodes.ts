// The nodes that a new store gets with its first update: ZooKeeper's root and system nodes, with the stat that a fresh
// standalone ZooKeeper shows (no creates counted, so the cversion of a parent is minus the number of its children).

import type { ZNode } from '../znode.ts'
import { READ_ACL } from './acl-rules.ts'
import { type AclStore, OPEN_ACL_ID } from './acl-store.ts'
import { CONFIG_NODE, QUOTA_NODE, ROOT, ZOOKEEPER_NODE } from './node-path.ts'
import type { NodeTree } from './node-tree.ts'

const FIRST: ZNode = {
  data: Buffer.alloc(0),
  czxid: 0,
  mzxid: 0,
  pzxid: 0,
  ctime: 0,
  mtime: 0,
  version: 0,
  createdChildren: 0,
  aversion: 0,
  ephemeralOwner: 0,
  aclId: OPEN_ACL_ID,
  numChildren: 0,
  lifetime: undefined,
}

/** Plants them; inside the apply of the first update. The configuration is empty, as in a standalone ZooKeeper. */
export function plantFirstNodes(tree: NodeTree, acls: AclStore): void {
  tree.plant(ROOT, { ...FIRST, numChildren: 1 })
  tree.plant(ZOOKEEPER_NODE, { ...FIRST, numChildren: 2 })
  tree.plant(QUOTA_NODE, { ...FIRST })
  tree.plant(CONFIG_NODE, { ...FIRST, aversion: -1, aclId: acls.take(READ_ACL) })
}

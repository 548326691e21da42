// Every operation code of ZooKeeper 3.9, and the transaction ids with a meaning of their own. Which of them a server answers
// is the server's business.

/** Operation codes by name, as in the type field of a request header. */
export const OP = {
  notification: 0,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getAcl: 6,
  setAcl: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  deleteContainer: 20,
  createTtl: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  createSession: -10,
  closeSession: -11,
  /** Only as the type of a result in a multi reply. */
  error: -1,
} as const

export type OpName = keyof typeof OP
export type Opcode = (typeof OP)[OpName]

const NAMES: ReadonlyMap<number, OpName> = new Map(Object.entries(OP).map(([name, code]) => [code, name as OpName]))

/** The name of an operation code, for logs and metric labels: one of a closed set, `unknown` for all others. */
export function opName(code: number): OpName | 'unknown' {
  return NAMES.get(code) ?? 'unknown'
}

/** Operations that change something, as a bit sum of their codes; closeSession is the one that does not fit. */
const UPDATES = [
  OP.create,
  OP.delete,
  OP.setData,
  OP.setAcl,
  OP.multi,
  OP.create2,
  OP.reconfig,
  OP.createContainer,
  OP.deleteContainer,
  OP.createTtl,
].reduce((bits, op) => bits | (1 << op), 0)

/** Does this operation change something? Cheap. */
export function isUpdate(op: number): boolean {
  return op > 0 && op < 32 ? ((UPDATES >>> op) & 1) === 1 : op === OP.closeSession
}

/** Operations that read the tree, and need not see its newest state. */
const TREE_READS: ReadonlySet<number> = new Set([
  OP.exists,
  OP.getData,
  OP.getAcl,
  OP.getChildren,
  OP.getChildren2,
  OP.multiRead,
  OP.getEphemerals,
  OP.getAllChildrenNumber,
])

/** Does this operation read nodes, and nothing else? */
export function readsNodes(op: number): boolean {
  return TREE_READS.has(op)
}

/** Operations about watches alone; a read may set one too. */
export function isWatchOp(op: number): boolean {
  return (
    op === OP.setWatches ||
    op === OP.setWatches2 ||
    op === OP.addWatch ||
    op === OP.checkWatches ||
    op === OP.removeWatches
  )
}

/** The xids that clients do not count: they mark what the message is. */
export const XID = {
  notification: -1,
  ping: -2,
  auth: -4,
  setWatches: -8,
} as const

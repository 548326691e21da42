// Every workload by name.

import type { Workload } from './workload.ts'
import { backupWorkload } from './workloads/backup/backup-workload.ts'
import { diskWorkload } from './workloads/disk-workload.ts'
import { doctorWorkload } from './workloads/doctor/doctor-workload.ts'
import { enginesWorkload } from './workloads/engines/engines-workload.ts'
import { leaseWorkload } from './workloads/lease/lease-workload.ts'
import { logWorkload } from './workloads/log/log-workload.ts'
import { sharedLogWorkload } from './workloads/log/shared-log-workload.ts'
import { sessionsWorkload } from './workloads/sessions/sessions-workload.ts'
import { stackWorkload } from './workloads/stack/stack-workload.ts'
import { tablesWorkload } from './workloads/tables/tables-workload.ts'
import { zelosWorkload } from './workloads/zelos/zelos-workload.ts'

const ALL: readonly Workload[] = [
  diskWorkload,
  logWorkload,
  sharedLogWorkload,
  stackWorkload,
  zelosWorkload,
  tablesWorkload,
  enginesWorkload,
  backupWorkload,
  doctorWorkload,
  leaseWorkload,
  sessionsWorkload,
]

export const WORKLOADS: ReadonlyMap<string, Workload> = new Map(ALL.map((workload) => [workload.name, workload]))

import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { sessionsWorkload } from './sessions-workload.ts'

proveWorkload(sessionsWorkload)

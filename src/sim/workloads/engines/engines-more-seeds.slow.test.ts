import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { enginesWorkload } from './engines-workload.ts'

proveWorkload(enginesWorkload, { from: 251, to: 500, finds: [] })

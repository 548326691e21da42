import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { stackWorkload } from './stack-workload.ts'

proveWorkload(stackWorkload)

/** Which runtime the suites about whole servers run on, and their children by the environment. Errors: one they don't know. */
export function testedRuntime(): 'docker' | 'native' | 'gvisor'

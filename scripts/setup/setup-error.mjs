/**
 * A step of the setup that can't be done. `message` is one sentence about what is wrong, `advice` what the person
 * can do about it, `output` the last lines of the command that failed.
 */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {{ advice?: string, output?: string[], cause?: unknown }} [options]
   */
  constructor(message, { advice, output = [], cause } = {}) {
    super(message, { cause })
    this.name = 'SetupError'
    this.advice = advice
    this.output = output
  }
}

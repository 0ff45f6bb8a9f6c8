/** A check that found something: `check` is its name in messages and in the mutation table. */
export class CheckFailure extends Error {
  readonly check: string

  constructor(check: string, message: string) {
    super(message)
    this.name = 'CheckFailure'
    this.check = check
  }
}

/** @throws CheckFailure when the condition does not hold; the message is only made then */
export function check(name: string, condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new CheckFailure(name, message())
}

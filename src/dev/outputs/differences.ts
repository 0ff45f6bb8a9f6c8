/** The first differences as lines, and the number of all. */
export class DifferenceList {
  readonly limit: number
  readonly lines: string[] = []
  count = 0

  constructor(limit: number) {
    this.limit = limit
  }

  add(line: string): void {
    if (this.count++ < this.limit) this.lines.push(line)
  }
}

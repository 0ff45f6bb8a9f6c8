/** Distinct devices that are told apart of one user. */
export const MAX_DEVICES = 16

/**
 * What is known of one user, as it goes from one form to another. One object is filled again and again: only the first
 * `deviceCount` and `2 * intervalCount` numbers of its arrays are its own.
 */
export type UserRecord = {
  /** The 53-bit hash that stands for the user. */
  hash: number
  logins: number
  /** Hashes of distinct devices, ascending, at most MAX_DEVICES: the smallest there were. */
  readonly devices: number[]
  deviceCount: number
  /** There were more devices than are told apart. */
  moreDevices: boolean
  /** Sessions, as [first, last, first, last, …] in epoch milliseconds, ascending. */
  readonly intervals: number[]
  intervalCount: number
}

export function emptyUserRecord(): UserRecord {
  return { hash: 0, logins: 0, devices: [], deviceCount: 0, moreDevices: false, intervals: [], intervalCount: 0 }
}

/**
 * Adds a device to a list of distinct ones that ascends and is kept at MAX_DEVICES.
 * @returns whether there are more devices than the list keeps
 */
export function addDevice(devices: number[], device: number): boolean {
  let at = devices.length
  while (at > 0 && (devices[at - 1] as number) > device) at--
  if (at > 0 && devices[at - 1] === device) return false
  devices.splice(at, 0, device)
  if (devices.length <= MAX_DEVICES) return false
  devices.pop()
  return true
}

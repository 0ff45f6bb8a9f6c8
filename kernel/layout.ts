/**
 * Where things stand in the kernel's memory, in bytes. src/events/kernel.ts reads and writes at the same places, and a
 * test holds both against each other.
 */

/** By field (device type, locale, version) a table of the texts learned: 1,024 slots of two words each. */
export const TEXTS: usize = 0x1000
export const TEXTS_BYTES: usize = 0x4000
export const TEXT_SLOT_BITS: u64 = 10

/**
 * The names that members are known by, each as it is written with its quotes and its colon: its length (u32), then three
 * times eight bytes of a mask and eight of what they hold.
 */
export const NAMES: usize = 0xd000
export const NAME_BYTES: usize = 64
export const NAME_COUNT: i32 = 15
/**
 * By name, and behind them by the beginning of an object and by names that mean nothing there, the name that came behind it
 * last time; one byte each.
 */
export const NAMES_BEHIND: usize = 0xd800
/**
 * In the same order, how that name was written with the comma or brace before it where no blank stood between: a mask of 16
 * bytes, what they hold, how many count and the name's number (i32). What is not to be met holds ones behind a mask of zeros.
 */
export const BEGINNINGS: usize = 0xd900
export const BEGINNING_BYTES: usize = 48

/** What was found out of each record: see the offsets below. */
export const ROWS: usize = 0x10000
export const ROW_BYTES: usize = 128
export const MOST_ROWS: i32 = 512

/** Of each record, where the members of its event stand: four numbers (i32) for each, as `LoginEvent.members` says. */
export const MEMBERS: usize = 0x20000
export const MEMBER_BYTES: usize = 16
export const MEMBERS_BYTES: usize = MEMBER_BYTES * <usize>NAME_COUNT

/** The records; behind them stand zeros for whoever reads a word at their end. */
export const INPUT: usize = 0x40000
export const INPUT_BYTES: i32 = 0x10000

/** What runs have counted, of each of the windows that they may count into: see the offsets below. */
export const RUNS: usize = 0x51000
export const RUN_BYTES: usize = 0xa000
export const MOST_WINDOWS: i32 = 4

/** Offsets in what was counted of a window. Of the last run, its events and the last of their rows, and its logins (i32). */
export const RUN_EVENTS: usize = 0
export const RUN_LAST_ROW: usize = 4
export const RUN_LOGINS: usize = 8
/** How many counts of each field are more than zero. */
export const COUNTED_SIZES: usize = 12
/** What whoever asks for a run says of the window (f64): the clock that closes it, and the greatest hash of a user looked at. */
export const CLOSES_AT: usize = 24
export const CEILING: usize = 32
/** Events by the sets of fields that they miss, at their bits (i32). */
export const MISSING_COUNTS: usize = 0x100
/** Of the last run's events, their addresses (i32); of its logins, the user's hash, the time and the device's hash (f64). */
export const RUN_ADDRESSES: usize = 0x200
export const LOGIN_USERS: usize = 0xa00
export const LOGIN_TIMES: usize = 0x1a00
export const LOGIN_DEVICES: usize = 0x2a00
/** By field, which of its counts are more than zero (i32). */
export const COUNTED: usize = 0x3a00
export const COUNTED_BYTES: usize = 0x1010
/** By field, its events by slot (i32), a slot's count standing at its number plus one and that of what is missing at 0. */
export const SLOT_COUNTS: usize = 0x6c00
export const SLOT_COUNTS_BYTES: usize = 0x1010

/**
 * What folding leaves of the bytes whose checksum is asked for. In front stand the vectors of 16 bytes that are folded
 * into those to come.
 */
export const FOLDED: usize = 0x79000
export const FOLD_BYTES: usize = 0xd10

/** For the thread that has the sockets, as FOLDED and INPUT are for who counts. */
export const THREAD_FOLDED: usize = 0x90000
export const THREAD_INPUT: usize = 0xa2000

/** What large responses are read into: records in them are read where they are. Behind them whoever reads a word has room. */
export const BODIES: usize = 0xc0000
export const BODY_BYTES: usize = 0x210000
export const BODY_COUNT: i32 = 8

/**
 * An LZ4 block that stands elsewhere, of the largest size that frames know; what a block unpacks to, behind the bytes that
 * its matches may reach back to. Behind both there is room for a vector. Little of it is ever touched: most blocks are of 64 KiB.
 */
export const PACKED: usize = 0x1150000
export const LZ4_BLOCK_BYTES: usize = 0x400000
export const HISTORY_BYTES: usize = 0x10000
export const UNPACKED: usize = 0x1570000

/** Offsets in a row. STATUS is READ, UNKNOWN, or UNKNOWN_TEXT and the number of its field, the text being at TEXT_AT. */
export const STATUS: usize = 0
export const OFFSET_DELTA: usize = 4
export const TIMESTAMP_DELTA: usize = 8
/** -1 for what is null; these and all that follow are positions in this memory. */
export const KEY_START: usize = 16
export const KEY_END: usize = 20
export const VALUE_START: usize = 24
export const VALUE_END: usize = 28
export const HEADERS_AT: usize = 32
export const HEADER_COUNT: usize = 36
export const TIME_MS: usize = 40
export const USER_HASH: usize = 48
export const USER_START: usize = 56
export const USER_END: usize = 60
/** The slots of device type, locale and version in their tables; -1 for what is missing. */
export const TEXT_SLOTS: usize = 64
export const DEVICE_ID_START: usize = 76
export const DEVICE_ID_END: usize = 80
export const IP_START: usize = 84
export const IP_END: usize = 88
export const IPV4: usize = 92
export const MISSING: usize = 96
export const OTHER_MEMBERS: usize = 100
export const SPACED: usize = 104
export const MEMBER_COUNT: usize = 108
export const TEXT_AT: usize = 112
/** The bits of the hash by which devices are told apart, where the event has a device. */
export const DEVICE_HASH: usize = 116

export const UNKNOWN: i32 = 0
export const READ: i32 = 1
export const UNKNOWN_TEXT: i32 = 2

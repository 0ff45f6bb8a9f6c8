import { windowSizeText } from '../windows/windows.ts'
import type { SettingName, SettingValues } from './schema.ts'

/** The most sessions that the users of one window's sample may have. */
const MAX_SESSIONS = 65_536

type Check = {
  /** The settings that the check reads; it is skipped when one of them is bad by itself. */
  readonly reads: readonly SettingName[]
  /** What is wrong, as a whole sentence that begins with the setting's name; null when all is well. */
  readonly complaint: (values: SettingValues) => string | null
}

const TLS_FILES = ['KAFKA_TLS_CA', 'KAFKA_TLS_CERT', 'KAFKA_TLS_KEY'] as const
const SASL_PARTS = ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD', 'KAFKA_SASL_PASSWORD_FILE'] as const
const TOPICS = [
  'SOURCE_TOPIC',
  'ENRICHED_TOPIC',
  'DLQ_TOPIC',
  'PARTIALS_TOPIC',
  'RESULTS_TOPIC',
  'DEVICE_STATS_TOPIC',
] as const

const CHECKS: readonly Check[] = [
  ...TLS_FILES.map<Check>(name => ({
    reads: [name, 'KAFKA_TLS_ENABLED'],
    complaint: values =>
      values[name] !== null && !values.KAFKA_TLS_ENABLED
        ? `${name} is given: allowed only with KAFKA_TLS_ENABLED=true`
        : null,
  })),
  together('KAFKA_TLS_CERT', 'KAFKA_TLS_KEY'),
  together('KAFKA_TLS_KEY', 'KAFKA_TLS_CERT'),
  ...SASL_PARTS.map<Check>(name => ({
    reads: [name, 'KAFKA_SASL_MECHANISM'],
    complaint: values =>
      values[name] !== null && values.KAFKA_SASL_MECHANISM === null
        ? `${name} is given: allowed only with KAFKA_SASL_MECHANISM`
        : null,
  })),
  {
    reads: ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME'],
    complaint: ({ KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username }) =>
      mechanism !== null && mechanism !== 'oauthbearer' && username === null
        ? `KAFKA_SASL_USERNAME is not given: needed with KAFKA_SASL_MECHANISM=${mechanism}`
        : null,
  },
  {
    reads: ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_PASSWORD', 'KAFKA_SASL_PASSWORD_FILE'],
    complaint: ({ KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_PASSWORD: password, KAFKA_SASL_PASSWORD_FILE: file }) => {
      if (password !== null && file !== null) {
        return 'KAFKA_SASL_PASSWORD is "***": allowed only without KAFKA_SASL_PASSWORD_FILE'
      }
      return mechanism !== null && password === null && file === null
        ? `KAFKA_SASL_PASSWORD is not given: needed (or KAFKA_SASL_PASSWORD_FILE) with KAFKA_SASL_MECHANISM=${mechanism}`
        : null
    },
  },
  {
    reads: ['DATABASE_URL', 'DATABASE_URL_FILE', 'DATABASE_DIR'],
    complaint: ({ DATABASE_URL: url, DATABASE_URL_FILE: file, DATABASE_DIR: dir }) => {
      if (url !== null && file !== null) return 'DATABASE_URL is "***": allowed only without DATABASE_URL_FILE'
      return dir !== null && (url !== null || file !== null)
        ? `DATABASE_DIR is "${dir}": allowed only without DATABASE_URL, for the database inside the process`
        : null
    },
  },
  {
    reads: ['RESULT_RETENTION', 'ROLLUPS', 'SLIDING_WINDOWS', 'WINDOW_SIZE'],
    complaint: values => {
      const sliding = (values.SLIDING_WINDOWS ?? []).map(({ sizeMs }) => sizeMs)
      const sizes = [values.WINDOW_SIZE, ...values.ROLLUPS, ...sliding]
      const unknown = [...(values.RESULT_RETENTION?.keys() ?? [])].find(sizeMs => !sizes.includes(sizeMs))
      return unknown === undefined
        ? null
        : `RESULT_RETENTION names ${windowSizeText(unknown)}: allowed are ${[...new Set(sizes)].map(windowSizeText).join(', ')}`
    },
  },
  ...(['POD_NAME', 'POD_NAMESPACE'] as const).map<Check>(name => ({
    reads: [name, 'KUBERNETES_ENABLED'],
    complaint: values =>
      values.KUBERNETES_ENABLED && values[name] === null
        ? `${name} is not given: needed with KUBERNETES_ENABLED=true`
        : null,
  })),
  ...TOPICS.flatMap((name, index) => TOPICS.slice(0, index).map(earlier => apart(name, earlier))),
  ...(['PARTIALS_TOPIC', 'RESULTS_TOPIC', 'DEVICE_STATS_TOPIC'] as const).map<Check>(name => ({
    reads: [name, 'STREAM_GENERATION'],
    complaint: values => {
      const suffix = values.STREAM_GENERATION > 1 ? `-g${values.STREAM_GENERATION}` : ''
      return values[name].length + suffix.length > 249
        ? `${name} is "${values[name]}": allowed are at most 249 characters together with "${suffix}"`
        : null
    },
  })),
  {
    reads: ['ROLLUPS', 'WINDOW_SIZE'],
    complaint: ({ ROLLUPS: rollups, WINDOW_SIZE: base }) => {
      const wrong = rollups.findIndex((size, i) => size % (rollups[i - 1] ?? base) !== 0)
      if (wrong < 0) return null
      const [size, below] = [rollups[wrong] as number, rollups[wrong - 1] ?? base]
      return `ROLLUPS names ${windowSizeText(size)}: allowed is a multiple of ${windowSizeText(below)}, from which it is merged`
    },
  },
  {
    reads: ['SLIDING_WINDOWS', 'ROLLUPS', 'WINDOW_SIZE'],
    complaint: ({ SLIDING_WINDOWS: sliding, ROLLUPS: rollups, WINDOW_SIZE: base }) => {
      for (const { sizeMs, hopMs } of sliding ?? []) {
        const name = `SLIDING_WINDOWS names ${windowSizeText(sizeMs)}/${windowSizeText(hopMs)}`
        if (hopMs % base !== 0)
          return `${name}: allowed is a hop that is a multiple of WINDOW_SIZE, ${windowSizeText(base)}`
        if (sizeMs === base || rollups.includes(sizeMs)) return `${name}: allowed is a size that ROLLUPS does not have`
      }
      return null
    },
  },
  {
    reads: ['USER_SAMPLE_SIZE', 'SESSION_GAP', 'ROLLUPS', 'SLIDING_WINDOWS', 'WINDOW_SIZE'],
    complaint: values => {
      // Kept in one record for each window: so many sessions come to about a megabyte.
      const sliding = (values.SLIDING_WINDOWS ?? []).map(({ sizeMs }) => sizeMs)
      const longest = Math.max(values.WINDOW_SIZE, ...values.ROLLUPS, ...sliding)
      const perUser = 1 + Math.ceil(longest / values.SESSION_GAP)
      const most = Math.floor(MAX_SESSIONS / perUser)
      return values.USER_SAMPLE_SIZE > most
        ? `USER_SAMPLE_SIZE is "${values.USER_SAMPLE_SIZE}": allowed is at most ${most}, since each user may have ${perUser} sessions ` +
            `of SESSION_GAP in the longest window, ${windowSizeText(longest)}; or make SESSION_GAP longer`
        : null
    },
  },
  {
    reads: ['MAX_WINDOWS', 'WINDOW_SIZE', 'ALLOWED_LATENESS', 'MAX_FUTURE_SKEW', 'CORRECTION_HORIZON'],
    complaint: values => {
      // A reducer that could not hold every window that is still open or correctable would have to park those too.
      const spanMs = values.ALLOWED_LATENESS + values.MAX_FUTURE_SKEW + values.CORRECTION_HORIZON
      const needed = Math.ceil(spanMs / values.WINDOW_SIZE) + 2
      return values.MAX_WINDOWS < needed
        ? `MAX_WINDOWS is "${values.MAX_WINDOWS}": allowed is at least ${needed}, the windows that (ALLOWED_LATENESS + ` +
            'MAX_FUTURE_SKEW + CORRECTION_HORIZON) / WINDOW_SIZE keeps open'
        : null
    },
  },
]

/** Complaints about settings that are each allowed but not together; `bad` are those that are not even allowed. */
export function crossComplaints(values: SettingValues, bad: ReadonlySet<SettingName>): string[] {
  return CHECKS.filter(check => !check.reads.some(name => bad.has(name)))
    .map(check => check.complaint(values))
    .filter(complaint => complaint !== null)
}

function together(name: (typeof TLS_FILES)[number], other: (typeof TLS_FILES)[number]): Check {
  return {
    reads: [name, other],
    complaint: values =>
      values[name] !== null && values[other] === null ? `${name} is given: allowed only with ${other}` : null,
  }
}

/** Kafka refuses topics that differ only by . and _, since its metrics cannot tell them apart. */
function apart(name: (typeof TOPICS)[number], earlier: (typeof TOPICS)[number]): Check {
  return {
    reads: [name, earlier],
    complaint: values =>
      values[name].replaceAll('.', '_') === values[earlier].replaceAll('.', '_')
        ? `${name} is "${values[name]}": allowed is another topic than ${earlier}'s "${values[earlier]}"`
        : null,
  }
}

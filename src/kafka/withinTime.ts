/** Waits for `work`, but no longer than `limitMs`; how it ends does not matter. */
export async function withinTime(work: Promise<unknown>, limitMs: number): Promise<void> {
  await answerWithin(work, limitMs).catch(() => {})
}

/** What `work` ends with, or an Error when it has not ended after `limitMs`; it then goes on unheard. */
export async function answerWithin<T>(work: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs)
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
  }
}
